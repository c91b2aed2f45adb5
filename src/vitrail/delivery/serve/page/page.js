// Images come by file, camera, drop or paste. Each goes to the server, and gets a card with its answer.

import { fillAbout } from "./about.js";
import { fillCard, makeCard } from "./cards.js";
import { Failure, predict, readModel, useKey } from "./server.js";
import { TEXTS } from "./texts.js";
import { Words } from "./words.js";

const AT_ONCE = 4; // images that are sent at the same time
const LANGUAGE = "vitrail-language"; // where the browser keeps the language that a person chose
const SENDABLE = /^[\x21-\x7e]+$/; // what a header can carry
const UNKNOWN = ["", "application/octet-stream"]; // types of files that the browser does not know: the server looks

const byId = (id) => document.getElementById(id);
const items = []; // the newest choice first; within it, in its order
let model = null;
let words = null;

// The language: the one that was chosen, else the first of the browser's that the page has.

function findLanguage() {
  const wanted = [readStored(), ...navigator.languages].map((tag) => tag?.slice(0, 2).toLowerCase());
  return wanted.find((tag) => Object.hasOwn(TEXTS, tag)) ?? "en";
}

function readStored() {
  try {
    return localStorage.getItem(LANGUAGE);
  } catch {
    return null; // the browser forbids it
  }
}

function chooseLanguage(language) {
  try {
    localStorage.setItem(LANGUAGE, language);
  } catch {
    // The browser forbids it: the choice lasts as long as the page.
  }
  say("");
  show(language);
}

function show(language) {
  words = new Words(language, model);
  document.documentElement.lang = language;
  document.title = words.texts.title;
  const named = document.querySelectorAll("[data-text]");
  for (const element of named) element.textContent = words.texts[element.dataset.text];
  for (const button of byId("languages").children) button.ariaPressed = String(button.lang === language);
  fillAbout(words);
  for (const item of items) fill(item);
}

// The model and the key

async function openModel() {
  const asked = document.activeElement.closest(".notice"); // what had the focus may go
  byId("model-failure").hidden = true;
  try {
    model = await readModel();
  } catch (failure) {
    if (failure.code === "key") return askKey();
    byId("model-failure-text").textContent = words.texts.failures[failure.code];
    byId("model-failure").hidden = false;
    return;
  }
  byId("key-form").hidden = true;
  if (asked) byId("files").focus();
  show(words.language);
  for (const item of items.filter(({ failure }) => failure?.code === "key")) restart(item);
}

function askKey() {
  const wrong = byId("key").value !== "";
  byId("key-form").hidden = false;
  byId("key-wrong").hidden = !wrong;
  byId("key").ariaInvalid = String(wrong);
  byId("key").focus();
}

function enterKey(event) {
  event.preventDefault();
  const key = byId("key").value.trim();
  if (!SENDABLE.test(key)) return askKey();
  useKey(key);
  openModel();
}

// The images

function add(files) {
  const added = files.map(makeItem);
  items.unshift(...added);
  byId("answers").prepend(...added.map(({ card }) => card));
  added.forEach(fill);
  update();
  added.filter(({ failure }) => failure).forEach(announce);
  sendNext();
}

function makeItem(file) {
  const item = { file, url: URL.createObjectURL(file), abort: new AbortController(), failure: findFailure(file) };
  item.card = makeCard(item, () => removeOne(item));
  return item;
}

function findFailure(file) {
  if (!UNKNOWN.includes(file.type) && !file.type.startsWith("image/")) return new Failure("notImage");
  if (model && file.size > model.limits.bytes) return new Failure("bytes");
  return null;
}

function fill(item) {
  fillCard(item, words, () => {
    item.card.querySelector(".remove").focus(); // the button that was pressed goes
    restart(item);
  });
}

function restart(item) {
  item.failure = null;
  fill(item);
  sendNext();
}

function sendNext() {
  const waiting = items.filter((item) => !item.sending && !item.result && !item.failure);
  const free = AT_ONCE - items.filter((item) => item.sending).length;
  for (const item of waiting.slice(0, Math.max(free, 0))) send(item);
}

async function send(item) {
  item.sending = true;
  fill(item);
  try {
    item.result = await predict(item.file, item.abort.signal, (seconds) => {
      item.busy = seconds;
      fill(item);
    });
  } catch (failure) {
    if (item.abort.signal.aborted) return;
    item.failure = failure;
    if (failure.code === "key") askKey();
  } finally {
    item.sending = false;
    item.busy = 0;
  }
  fill(item);
  announce(item);
  sendNext();
  if (item.result && model === null) openModel();
}

function announce(item) {
  const done = items.filter(({ result, failure }) => result || failure).length;
  const shown = items.length > 1 ? words.texts.done(done, items.length) : "";
  say(shown, words.texts.heard(item.file.name, words.outcome(item)));
}

/** Tell what happened: in sight, and to a screen reader, which also hears what the cards show. */
function say(shown, heard = "") {
  byId("shown").textContent = shown;
  byId("heard").textContent = heard;
}

function drop(item) {
  item.abort.abort();
  URL.revokeObjectURL(item.url);
  item.card.remove();
}

function removeOne(item) {
  const index = items.indexOf(item);
  items.splice(index, 1);
  drop(item);
  const neighbour = items[Math.min(index, items.length - 1)];
  (neighbour ? neighbour.card.querySelector(".remove") : byId("files")).focus();
  say(words.texts.removedOne(item.file.name));
  update();
  sendNext();
}

function removeAll() {
  if (items.length === 0) return;
  items.splice(0).forEach(drop);
  byId("files").focus();
  say(words.texts.removedAll);
  update();
}

function update() {
  byId("answers-section").hidden = items.length === 0;
  byId("clear").hidden = items.length < 2;
  document.body.classList.toggle("has-answers", items.length > 0);
}

// How images come in

function takeChosen(event) {
  add([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
}

function takePasted(event) {
  if (event.target === byId("key")) return;
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) add(files);
  else say(words.texts.nothingPasted);
}

function takeDropped(event) {
  event.preventDefault();
  setDragging(false);
  const files = [...event.dataTransfer.files];
  if (files.length) add(files);
  else say(words.texts.nothingDropped);
}

function allowDrop(event) {
  event.preventDefault(); // else the browser leaves the page for the file
  event.dataTransfer.dropEffect = "copy";
  setDragging(true);
}

function setDragging(isDragging) {
  byId("drop").classList.toggle("dragging", isDragging);
}

byId("files").addEventListener("change", takeChosen);
byId("photo").addEventListener("change", takeChosen);
byId("clear").addEventListener("click", removeAll);
byId("key-form").addEventListener("submit", enterKey);
byId("model-retry").addEventListener("click", openModel);
for (const button of byId("languages").children) button.addEventListener("click", () => chooseLanguage(button.lang));
document.addEventListener("paste", takePasted);
document.addEventListener("dragover", allowDrop);
document.addEventListener("dragleave", (event) => event.relatedTarget === null && setDragging(false));
document.addEventListener("drop", takeDropped);
document.addEventListener("keydown", (event) => event.key === "Escape" && event.target !== byId("key") && removeAll());

show(findLanguage());
openModel();
