// What the page says about the model: its classes, what was measured of it, its licence, and what the server accepts.

import { make } from "./cards.js";

const byId = (id) => document.getElementById(id);

export function fillAbout(words) {
  const { model, number, texts } = words;
  byId("about").hidden = model === null;
  if (model === null) return;
  byId("lead-in").textContent = texts.introduction(number.format(model.classes.length));
  byId("limits").textContent = texts.limits(words.size(model.limits.bytes), number.format(model.limits.pixels / 1e6));
  const rows = listFacts(words).map(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]);
  byId("facts").replaceChildren(...rows.flat());
  byId("classes-title").textContent = texts.classesTitle(number.format(model.classes.length));
  byId("classes").replaceChildren(...model.classes.map((label) => make("li", {}, make("bdi", {}, label))));
}

function listFacts(words) {
  const { model, number, percent, promises, setCheck, texts } = words;
  const { images, largest_difference } = model.certificate;
  const promised = percent.format(setCheck.promised);
  const facts = [
    [texts.model, texts.modelText(model.name, model.format, model.precision, model.crop)],
    [texts.fidelity, texts.fidelityText(number.format(images), words.largest(largest_difference))],
    [texts.sets, texts.setsText(promised, words.measured(setCheck.coverage), number.format(setCheck.coverage.n))],
  ];
  if (promises.confidence === null) facts.push([texts.confidence, texts.noConfidence]);
  if (promises.precision) {
    const [least, precision] = [words.share(promises.confidence), percent.format(promises.target_precision)];
    facts.push([texts.confidence, texts.confidenceText(least, precision, words.measured(promises.precision))]);
  }
  facts.push([texts.licence, model.licence || texts.noLicence]);
  facts.push([texts.run, model.run.slice(0, 12)]);
  return facts;
}
