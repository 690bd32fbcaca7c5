import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql/index.js';

/** Keys and their roles are two levels deep. Introspection nests types in types, and tools ask for about 13 levels. */
export const DEPTH_MAX = 6;
export const INTROSPECTION_DEPTH_MAX = 16;
/** Fields one operation may come to, with every fragment and alias counted where it is used. Introspection takes 200. */
export const FIELDS_MAX = 500;
/** Lexical tokens of a document: the parser stops there. */
export const TOKENS_MAX = 4_000;

interface Measure {
  depth: number;
  fields: number;
}

/**
 * Refuses a document that is too deep or too wide before any of it runs. Fragments are measured once and counted
 * wherever they are spread, so that a few lines that unfold into millions of fields are seen for what they are.
 */
export function limitRule(context: ValidationContext): ReturnType<ValidationRule> {
  return {
    Document(document: DocumentNode) {
      const fragments = new Map<string, FragmentDefinitionNode>();
      for (const node of document.definitions) {
        if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
      }
      const measured = new Map<string, Measure>();
      for (const node of document.definitions) {
        if (node.kind !== Kind.OPERATION_DEFINITION) continue;
        for (const [name, plain] of [
          ['introspection', false],
          ['query', true],
        ] as const) {
          const { depth, fields } = measure(node.selectionSet, { fragments, measured, open: new Set(), plain });
          const depthMax = plain ? DEPTH_MAX : INTROSPECTION_DEPTH_MAX;
          if (depth > depthMax) {
            context.reportError(
              new GraphQLError(`Expected a ${name} of at most ${depthMax} levels, got ${depth}.`, { nodes: node }),
            );
          }
          if (fields > FIELDS_MAX) {
            context.reportError(
              new GraphQLError(`Expected at most ${FIELDS_MAX} fields in an operation, got more.`, { nodes: node }),
            );
            return;
          }
        }
        measured.clear();
      }
    },
  };
}

interface Walk {
  fragments: Map<string, FragmentDefinitionNode>;
  measured: Map<string, Measure>;
  /** Fragments being measured: a cycle is refused by another rule, and must not hang this one. */
  open: Set<string>;
  /** Leaves introspection out. */
  plain: boolean;
}

function measure(set: SelectionSetNode | undefined, walk: Walk): Measure {
  const total: Measure = { depth: 0, fields: 0 };
  for (const node of set?.selections ?? []) {
    let inner: Measure;
    if (node.kind === Kind.FIELD) {
      if (walk.plain && node.name.value.startsWith('__')) continue;
      const below = measure(node.selectionSet, walk);
      inner = { depth: below.depth + 1, fields: below.fields + 1 };
    } else if (node.kind === Kind.INLINE_FRAGMENT) {
      inner = measure(node.selectionSet, walk);
    } else {
      inner = measureFragment(node.name.value, walk);
    }
    total.depth = Math.max(total.depth, inner.depth);
    total.fields = Math.min(total.fields + inner.fields, FIELDS_MAX + 1);
  }
  return total;
}

function measureFragment(name: string, walk: Walk): Measure {
  const key = `${walk.plain} ${name}`;
  const known = walk.measured.get(key);
  if (known !== undefined) return known;
  if (walk.open.has(name)) return { depth: 0, fields: 0 };
  walk.open.add(name);
  const result = measure(walk.fragments.get(name)?.selectionSet, walk);
  walk.open.delete(name);
  walk.measured.set(key, result);
  return result;
}
