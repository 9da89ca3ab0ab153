/** Puts the attention view on the nodes that return maps, and keeps its state with the node. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { AttentionView } from "./attention_view.js";
import { chain, locator, shows } from "./shown_outputs.js";
import { addStylesheet } from "./stylesheet.js";

const SHOWS_MAPS = new Set(["HiPerAttentionViewer", "HiPerCompareAttention"]);
const WIDGET = "hiper_attention";
const CHOICE = "tokens";
const OPACITY = "opacity";
const STATE = "hiper_viewer"; // in node.properties
const NODES_2 = "[data-node-id]"; // what Nodes 2.0 draws a node as
const NARROWEST = 400;
const ON_FACE = "hiper_viewer_on_face"; // a subgraph node's property: its viewer is seen on it

const views = new Map(); // node -> its AttentionViews, its own and a face's, while it is in a graph

app.registerExtension({
  name: "HiPer.AttentionViewer",

  setup() {
    addStylesheet("./attention_view.css");
  },

  nodeCreated(node) {
    if (SHOWS_MAPS.has(node.comfyClass)) own(node);
    else if (node.isSubgraphNode?.()) chain(node, "onConfigure", () => face(node));
  },
});

/** The node's own view; its choice and its opacity are the node's widgets. */
function own(node) {
  const view = attach(node, node);
  const choice = node.widgets.find(({ name }) => name === CHOICE);
  if (choice) chain(choice, "callback", () => view.release());
  const opacity = node.widgets.find(({ name }) => name === OPACITY);
  if (opacity) opacity.hidden = opacity.options.hidden = true; // the view's own slider stands for it
  chain(node, "onConfigure", () => restore(node));
  shows(node, (output) => show(node, output), [CHOICE, OPACITY]);
}

/** The same on a subgraph's node, once: what is done there is done to the viewer inside. */
function face(host) {
  const viewer = host.subgraph.nodes.find(({ comfyClass }) => SHOWS_MAPS.has(comfyClass));
  const there = host.widgets.some(({ name }) => name === WIDGET);
  if (!viewer || there || !host.properties[ON_FACE]) return;
  attach(viewer, host);
  show(viewer, app.nodeOutputs[locator(viewer)]);
}

/** A view of the node's maps that stands on `host`. */
function attach(node, host) {
  const view = new AttentionView({
    addressOf: (file) => api.apiURL(`/view?${new URLSearchParams(file)}`),
    onChange: (state) => {
      node.properties[STATE] = state;
      const opacity = node.widgets?.find(({ name }) => name === OPACITY);
      if (opacity) opacity.value = state.opacity;
      for (const other of viewsOf(node)) if (other !== view) other.restore(state);
      host.graph?.setDirtyCanvas?.(true, true);
    },
    onChoose: (choice) => choose(node, choice),
    onLayout: () => fit(host, view),
    onWheel: handOn,
  });
  const widget = host.addDOMWidget(WIDGET, WIDGET, view.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => view.leastHeight,
  });
  widget.serialize = false;
  host.setSize([Math.max(host.size[0], NARROWEST), host.size[1]]);

  const known = () => views.set(node, [...new Set([...viewsOf(node), view])]);
  chain(host, "onAdded", known);
  if (host !== node) known(); // it was added before it was configured
  restore(node, [view]);
  chain(host, "onRemoved", () => {
    const others = viewsOf(node).filter((other) => other !== view);
    others.length ? views.set(node, others) : views.delete(node);
    view.destroy();
  });
  return view;
}

function viewsOf(node) {
  return views.get(node) ?? [];
}

function restore(node, those = viewsOf(node)) {
  const opacity = node.widgets.find(({ name }) => name === OPACITY);
  const state = { ...node.properties[STATE], ...(opacity && { opacity: opacity.value }) };
  for (const view of those) view.restore(state);
}

/** What is clicked is the next run's mask: it stands in the node's own widget and is saved there. */
function choose(node, choice) {
  const widget = node.widgets.find(({ name }) => name === CHOICE);
  if (widget) widget.value = choice;
}

/** The wheel moves the graph, unless it scrolls the chips; Nodes 2.0 hands it on by itself. */
function handOn(event) {
  const { target } = event;
  const scrolled = target.closest("[data-capture-wheel]");
  if (target.closest(NODES_2) || scrolled?.contains(document.activeElement)) return;
  event.preventDefault();
  app.canvas.canvas.dispatchEvent(new WheelEvent("wheel", event));
}

/** Grow the node where its widgets need more room; Nodes 2.0 does so by itself. */
function fit(node, view) {
  if (!node.graph || view.element.closest(NODES_2)) return;
  const [width, height] = node.computeSize();
  const size = [Math.max(node.size[0], width), Math.max(node.size[1], height)];
  if (size[0] > node.size[0] || size[1] > node.size[1]) node.setSize(size);
  node.graph.setDirtyCanvas?.(true, true);
}

/** Whether the output had maps to show. */
function show(node, output) {
  const payloads = output?.hiper_maps;
  if (!payloads?.length) return false;
  for (const view of viewsOf(node)) view.show(payloads);
  return true;
}
