/**
 * What the metadata store keeps, as data: one definition from which each adapter derives its DDL, statements and
 * row mapping. Times are Unix milliseconds; `json` columns hold plain JSON values; `bytes` are Uint8Array.
 * Every row has `version`: updates are compare-and-set on it.
 */
export type ColumnKind = 'text' | 'int' | 'bool' | 'bytes' | 'json' | 'text?' | 'int?' | 'bool?' | 'bytes?' | 'json?';

export interface TableShape<Row> {
  /** The primary key column. */
  key: keyof Row & string;
  columns: { [C in keyof Row & string]-?: ColumnKind };
  /** Columns (alone or together) that no two rows may share; rows with a null in them are exempt. */
  unique: readonly (readonly (keyof Row & string)[])[];
  /** What queries filter and order by. */
  indexes: readonly (readonly (keyof Row & string)[])[];
  /**
   * Columns that `touch` raises. `update` and `put` never lower or clear them, so that a row loaded before a touch
   * and stored after it does not undo the touch.
   */
  rising?: readonly (keyof Row & string)[];
}
