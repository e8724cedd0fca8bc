/** The document as far as it could be understood: what the cross checks work on. */
import type { Fault, Path } from './fault.ts';
import { valueFault } from './fault.ts';
import {
  documentEntries,
  type Entries,
  type GroupValues,
  groupEntries,
  type ServiceValues,
  type Surroundings,
  serviceEntries,
} from './schema.ts';
import { readTable } from './table.ts';
import { isTable, kindOf, type Table } from './value.ts';

/** One `[[service]]` or `[[group]]`. */
export interface Declaration<Values> {
  readonly path: Path;
  /** As written, faulty keys included. */
  readonly table: Table;
  /** The keys that are valid; all of them, defaults included, when there is no fault. */
  readonly values: Partial<Values>;
}

export interface Outline {
  /** Absolute path, or undefined where the document names none. */
  readonly kernel: string | undefined;
  readonly services: readonly Declaration<ServiceValues>[];
  readonly groups: readonly Declaration<GroupValues>[];
}

/** Reads every table of a document; what is wrong with single keys comes back in `faults`. */
export function readOutline(document: Table, surroundings: Surroundings): { outline: Outline; faults: Fault[] } {
  const top = readTable(documentEntries(surroundings), document, []);
  const services = readDeclarations('service', top.values.service ?? [], serviceEntries(surroundings));
  const groups = readDeclarations('group', top.values.group ?? [], groupEntries());
  return {
    outline: { kernel: top.values.kernel, services: services.declarations, groups: groups.declarations },
    faults: [...top.faults, ...services.faults, ...groups.faults],
  };
}

function readDeclarations<E extends Entries>(key: string, tables: readonly unknown[], entries: E) {
  const declarations = [];
  const faults: Fault[] = [];
  for (const [index, table] of tables.entries()) {
    const path = [key, index];
    if (isTable(table)) {
      const reading = readTable(entries, table, path);
      declarations.push({ path, table, values: reading.values });
      for (const fault of reading.faults) faults.push(fault);
    } else {
      faults.push(valueFault(path, `must be a table, not ${kindOf(table)}`, `[[${key}]]`));
    }
  }
  return { declarations, faults };
}
