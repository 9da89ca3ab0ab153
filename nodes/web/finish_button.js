/** The button on Learn, while it learns, that ends it there and uses what was learned. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { chain } from "./shown_outputs.js";
import { phrase, whenTranslated } from "./words.js";

const LEARN = "HiPerLearnEmbedding";
const ROUTE = "/hiper/finish";
const NAME = "finish";
const ENDS = ["execution_success", "execution_error", "execution_interrupted"];

const buttons = new Map(); // node -> its button, while it learns
const asked = new Set(); // learnings that were asked to end, by prompt and node

app.registerExtension({
  name: "HiPer.FinishButton",

  setup() {
    api.addEventListener("progress_state", ({ detail }) => follow(detail));
    for (const end of ENDS) api.addEventListener(end, () => keepOnly(new Map()));
    whenTranslated(() => {
      for (const button of buttons.values()) button.label = phrase("finish");
    });
  },

  nodeCreated(node) {
    if (node.comfyClass === LEARN) chain(node, "onRemoved", () => buttons.delete(node));
  },
});

function follow({ prompt_id, nodes }) {
  const learning = new Map();
  for (const [node_id, { state, value }] of Object.entries(nodes)) {
    const node = state === "running" && value > 0 ? nodeAt(node_id) : null;
    const run = { prompt_id, node_id };
    if (node?.comfyClass === LEARN && !asked.has(nameOf(run))) learning.set(node, run);
  }
  keepOnly(learning);
  for (const [node, run] of learning) if (!buttons.has(node)) put(node, run);
}

const nameOf = ({ prompt_id, node_id }) => `${prompt_id} ${node_id}`;

/** The node of an execution's id: below a subgraph the subgraph's id stands before it. */
function nodeAt(executionId) {
  let graph = app.rootGraph ?? app.graph;
  let node = null;
  for (const id of executionId.split(":")) {
    node = graph?.getNodeById(id) ?? null;
    graph = node?.subgraph;
  }
  return node;
}

function put(node, run) {
  const button = node.addWidget("button", NAME, null, () => finish(node, run), {
    serialize: false,
  });
  button.serialize = false;
  button.label = phrase("finish");
  buttons.set(node, button);
  node.graph?.setDirtyCanvas?.(true, true);
}

function keepOnly(learning) {
  for (const [node, button] of buttons) {
    if (learning.has(node)) continue;
    buttons.delete(node);
    node.removeWidget(button);
    node.graph?.setDirtyCanvas?.(true, true);
  }
}

/** The server ends it after the step that it is at; what came too late changes nothing. */
async function finish(node, run) {
  asked.add(nameOf(run));
  keepOnly(new Map([...buttons].filter(([other]) => other !== node)));
  await api.fetchApi(ROUTE, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(run),
  });
}
