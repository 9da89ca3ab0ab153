/** In Load's list, beside the name of an embedding whose file holds a picture, that picture. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addStylesheet } from "./stylesheet.js";

const LOAD = "HiPerLoadEmbedding";
const LIST = ".litecontextmenu, [role=listbox]"; // as the classic canvas and Nodes 2.0 draw one
const ROW = ".litemenu-entry, [role=option]";
const MARK = "data-hiper-thumbnail";

app.registerExtension({
  name: "HiPer.ListThumbnails",

  setup() {
    addStylesheet("./list_thumbnails.css");
    const opened = ({ addedNodes }) => {
      for (const added of addedNodes) if (added instanceof Element) look(added);
    };
    new MutationObserver((changes) => changes.forEach(opened)).observe(document.body, {
      childList: true,
    });
  },
});

/** Rows come after their list, and come and go while a person types into its filter. */
function look(added) {
  if (!names().size) return;
  let thumbnails = null; // asked for once, and for no list but ours
  const changes = new MutationObserver(() => (added.isConnected ? draw() : changes.disconnect()));
  const draw = async () => {
    const list = added.matches(LIST) ? added : added.querySelector(LIST);
    const rows = [...(list?.querySelectorAll(ROW) ?? [])];
    const own = names();
    // a list is ours where every row is an embedding's name
    if (!rows.length || !rows.every((row) => own.has(nameOf(row)))) return;
    thumbnails ??= fetched();
    const found = await thumbnails;
    for (const row of rows) mark(row, found[nameOf(row)]);
  };
  draw();
  changes.observe(added, { childList: true, subtree: true, characterData: true });
}

/** What the Load nodes of the graph that is open can choose among. */
function names() {
  const loads = app.canvas.graph.nodes.filter(({ comfyClass }) => comfyClass === LOAD);
  return new Set(loads.flatMap(({ widgets }) => widgets?.[0]?.options?.values ?? []));
}

function nameOf(row) {
  return row.dataset.value ?? row.textContent.trim();
}

function mark(row, address) {
  if (!address) {
    row.removeAttribute(MARK);
    return;
  }
  row.setAttribute(MARK, "");
  row.style.setProperty("--hiper-thumbnail", `url("${api.apiURL(address)}")`);
}

async function fetched() {
  const answer = await api.fetchApi("/hiper/thumbnails");
  return answer.ok ? answer.json() : {};
}
