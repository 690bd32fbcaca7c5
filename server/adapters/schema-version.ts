/**
 * Raised when the tables change. `USABLE_FROM` is the oldest program that may still write to what this one leaves
 * behind: raise it only when an older program would do damage. Migrations go forward only and add: a new column is
 * nullable or starts at its kind's zero, so that programs of both versions can write side by side.
 */
export const SCHEMA_VERSION = 1;
export const USABLE_FROM = 1;
/** The `facts` row that holds both as JSON. */
export const SCHEMA_FACT = 'schema';
