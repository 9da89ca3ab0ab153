/** A style sheet that lies beside the pack's scripts. */

export function addStylesheet(name) {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL(name, import.meta.url).href;
  document.head.append(style);
}
