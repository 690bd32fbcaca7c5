import type { Role } from '#sdk/protocol';

const RANK: Record<Role, number> = { owner: 2, operator: 1, auditor: 0 };

export const ROLES: readonly Role[] = ['owner', 'operator', 'auditor'];

/** Whether `role` permits no more than `limit`. */
export function isAtMost(role: Role, limit: Role): boolean {
  return RANK[role] <= RANK[limit];
}

/** The lesser of two roles: a sign-in has what both its user and its key may do. */
export function lesserRole(a: Role, b: Role): Role {
  return isAtMost(a, b) ? a : b;
}
