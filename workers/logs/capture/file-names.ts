/** Names of log files and places in them, as everybody knows them. */
export {
  COMPRESSED_SUFFIX,
  fileName,
  isServiceName,
  linkName,
  ORIGIN,
  type Position,
  parseFileName,
  type StreamId,
  streamKey,
  temporaryLinkName,
} from '../../../src/protocol/log-files/names.ts';
