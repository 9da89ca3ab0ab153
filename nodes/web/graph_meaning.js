/** What a saved graph computes, whatever it looks like: to know a run's graph again. */

const SAYS_NOTHING = new Set(["Note", "MarkdownNote"]);
const CHANGES_AFTER = new Set(["increment", "decrement", "randomize"]);

/**
 * Nodes with their values and wires as a text; `after` a run, without the seeds that change then.
 * `spare` has the places of values, by type of node, that change nothing of what is shown.
 */
export function meaningOf(workflow, after = false, spare = {}) {
  const parts = [workflow, ...(workflow.definitions?.subgraphs ?? [])];
  return JSON.stringify(parts.map((part) => [nodesOf(part, after, spare), linksOf(part)]));
}

function nodesOf(part, after, spare) {
  return (part.nodes ?? [])
    .filter((node) => !SAYS_NOTHING.has(node.type))
    .map((node) => [`${node.id}`, node.type, node.mode ?? 0, valuesOf(node, after, spare)])
    .sort(([one], [other]) => one.localeCompare(other));
}

function valuesOf({ type, widgets_values: values }, after, spare) {
  if (!Array.isArray(values)) return values ?? [];
  return values.filter(
    (_, place) =>
      !spare[type]?.has(place) && !(after && CHANGES_AFTER.has(values[place + 1])),
  );
}

function linksOf(part) {
  return (part.links ?? [])
    .map((link) => {
      const { origin_id, origin_slot, target_id, target_slot } = link;
      return Array.isArray(link)
        ? link.slice(1, 5).join(" ")
        : [origin_id, origin_slot, target_id, target_slot].join(" ");
    })
    .sort();
}
