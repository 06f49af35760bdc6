"use strict";
// The photo before and after: where the slider stands, over the part of the photo that is seen.
function cut() {
  const slider = document.getElementById("cut");
  const view = document.getElementById("window");
  if (!slider || !view) return;
  document.documentElement.style.setProperty("--dpr", window.devicePixelRatio || 1);
  const pair = view.firstElementChild;
  const seen = Math.min(view.clientWidth, pair.offsetWidth);
  pair.style.setProperty("--cut", view.scrollLeft + (slider.value / 100) * seen + "px");
}
document.addEventListener("input", (e) => e.target.id === "cut" && cut());
document.addEventListener("scroll", (e) => e.target.id === "window" && cut(), true);
window.addEventListener("resize", cut);

// Where a step is drawn again, the keyboard stays where it was, or at what is new there.
let last = null;
document.addEventListener("focusin", (e) => {
  last = { id: e.target.id, section: e.target.closest("section")?.id, element: e.target };
});
function refocus() {
  cut();
  if (!last || document.activeElement !== document.body || last.element.isConnected) return;
  const same = document.getElementById(last.id);
  const there = document.getElementById(last.section);
  const fresh = [...(there || document).querySelectorAll("[data-focus]")];
  const next = same && !same.disabled ? same : fresh.find((e) => e.dataset.focus === "first") || fresh.at(-1);
  next?.focus();
}
new MutationObserver(refocus).observe(document.body, { childList: true, subtree: true });

// A folder that is dropped or chosen: its files are copied one after the other.
function say(text) {
  const place = document.getElementById("copying");
  if (place) place.textContent = text;
}
async function inFolder(entry) {
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((good, bad) => reader.readEntries(good, bad));
    if (!some.length) break;
    all.push(...some);
  }
  const lists = await Promise.all(all.filter((e) => !e.name.startsWith(".")).map(files));
  return lists.flat();
}
async function files(entry) {
  if (entry.isDirectory) return inFolder(entry);
  const file = await new Promise((good, bad) => entry.file(good, bad));
  return [[entry.fullPath, file]];
}
async function send(address, method, body) {
  const answer = await fetch(address, { method, body });
  if (!answer.ok) throw new Error((await answer.text()) || "It could not be copied.");
  return answer;
}
async function copy(found) {
  const shown = found.filter(([path]) => !path.split("/").some((part) => part.startsWith(".")));
  if (!shown.length) return say("There are no files in it. Drop a folder, not single photos.");
  try {
    const name = shown[0][0].replace(/^\//, "").split("/")[0];
    const begun = await (await send(`/copies?name=${encodeURIComponent(name)}`, "POST")).json();
    const into = encodeURIComponent(begun.into);
    for (const [k, [path, file]] of shown.entries()) {
      say(`Copying ${k + 1} of ${shown.length} to ${begun.path}`);
      const inside = path.replace(/^\//, "").split("/").slice(1).join("/");
      await send(`/copies/${into}?name=${encodeURIComponent(inside)}`, "PUT", file);
    }
    await send(`/copies/${into}`, "POST");
    say(`Copied to ${begun.path}`);
  } catch (e) {
    say(e.message);
  }
}
document.addEventListener("dragover", (e) => {
  e.preventDefault();
  document.getElementById("drop")?.classList.add("over");
});
document.addEventListener("dragleave", () => document.getElementById("drop")?.classList.remove("over"));
document.addEventListener("drop", async (e) => {
  e.preventDefault();
  document.getElementById("drop")?.classList.remove("over");
  const folders = [...e.dataTransfer.items].map((i) => i.webkitGetAsEntry()).filter((i) => i?.isDirectory);
  if (folders.length !== 1) return say("Drop one folder, not single photos.");
  copy(await files(folders[0]));
});
document.addEventListener("change", (e) => {
  if (e.target.id === "copies") copy([...e.target.files].map((f) => [f.webkitRelativePath, f]));
});
