/** Certificates that nobody has signed but themselves. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findTestProgram } from '../processes/test-program.ts';

/** PEM files. */
export interface Certificate {
  readonly path: string;
  readonly keyPath: string;
}

/** Makes a certificate for 127.0.0.1 and a name, which is its own authority. */
export function makeCertificate(dir: string, name: string): Certificate {
  const certificate = { path: join(dir, 'certificate.pem'), keyPath: join(dir, 'key.pem') };
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`];
  const output = ['-out', certificate.path, '-keyout', certificate.keyPath];
  execFileSync(findTestProgram('openssl'), ['req', ...options, ...names, ...output], { stdio: 'pipe' });
  return certificate;
}
