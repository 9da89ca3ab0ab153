/** What a node says of its run stays on it, in ComfyUI's own text below the widgets. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { shows } from "./shown_outputs.js";

const SPEAKING = new Set([
  "HiPerLearnEmbedding",
  "HiPerSaveEmbedding",
  "HiPerSaveAttentionMaps",
]);

const waiting = new Map(); // node of a subgraph that is not open -> its words

app.registerExtension({
  name: "HiPer.NodeWords",

  setup() {
    app.canvas.canvas.addEventListener("litegraph:set-graph", () => {
      for (const [node, words] of [...waiting]) say(node, words); // some wait on
    });
  },

  nodeCreated(node) {
    if (!SPEAKING.has(node.comfyClass)) return;
    shows(node, (output) => {
      if (!output?.text?.length) return false;
      say(node, output.text.join("\n"));
      return true;
    });
  },
});

/** As the server does while a node runs: ComfyUI looks for the node in the graph that is open. */
function say(node, words) {
  waiting.delete(node);
  if (!node.graph) return;
  if (node.graph === app.canvas.graph) {
    api.dispatchCustomEvent("progress_text", { nodeId: `${node.id}`, text: words });
  } else {
    waiting.set(node, words);
  }
}
