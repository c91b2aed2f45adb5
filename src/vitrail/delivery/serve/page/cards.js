// The card of an image: a preview, and the answer as a sentence, the reason of a doubt, bars and the set of classes; or
// why there is no answer.

const MOST_PREVIEW_PIXELS = 50e6; // a browser may need gigabytes to draw more
const SMALL = 64; // pixels along a side; a smaller image is drawn with its pixels visible
const WORTH_RETRYING = ["offline", "busy", "time", "server"];

/** An element with properties and children. Texts among the children are never read as HTML. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The card of a new image: a list item. `fillCard` fills it, and again whenever its state or the language changes. */
export function makeCard(item, onRemove) {
  const picture = make("figure", {}, make("span", { className: "no-preview" }));
  const preview = make("img", { alt: "", src: item.url });
  preview.onload = () => {
    if (preview.naturalWidth * preview.naturalHeight > MOST_PREVIEW_PIXELS) return;
    preview.classList.toggle("small", Math.max(preview.naturalWidth, preview.naturalHeight) <= SMALL);
    picture.replaceChildren(preview);
  };
  const remove = make("button", { type: "button", className: "remove", onclick: onRemove }, "×");
  return make("li", {}, picture, make("div", { className: "body" }), remove);
}

export function fillCard(item, words, onRetry) {
  const { card, failure, result } = item;
  card.className = failure ? "failed" : result?.doubt ? "doubt" : result ? "answered" : "working";
  card.querySelector(".no-preview")?.replaceChildren(words.texts.noPreview);
  card.querySelector(".remove").ariaLabel = words.texts.remove(item.file.name);
  const draw = failure ? drawFailure : result ? drawResult : drawWork;
  const parts = draw(item, words, onRetry);
  card.querySelector(".body").replaceChildren(...parts, drawFile(item, words));
}

function drawWork({ busy, sending }, { texts }) {
  const state = busy ? texts.busy(busy) : sending ? texts.sending : texts.waiting;
  return [make("h3", {}, make("span", { className: "spinner" }), state)];
}

function drawFailure({ failure, file }, words, onRetry) {
  const retry = make("button", { type: "button", className: "button", onclick: onRetry }, words.texts.retry);
  return [
    make("h3", {}, words.texts.noAnswer),
    make("p", { className: "reason" }, words.failure(failure, file)),
    ...(WORTH_RETRYING.includes(failure.code) ? [retry] : []),
  ];
}

function drawResult({ result }, words) {
  const name = (label) => make("bdi", { className: "name" }, label);
  const bars = result.top.map((row) => drawBar(row, words));
  return [
    make("h3", {}, ...words.answer(result, name)),
    ...(result.doubt ? [make("p", { className: "reason" }, ...words.doubt(result, name))] : []),
    make("ul", { className: "bars", ariaLabel: words.texts.probabilities }, ...bars),
    make("p", { className: "set" }, ...words.set(result, name)),
  ];
}

function drawBar({ label, probability }, words) {
  const filled = make("span");
  filled.style.width = `${100 * probability}%`;
  return make(
    "li",
    {},
    make("bdi", { className: "label" }, label),
    make("span", { className: "share" }, words.share(probability)),
    make("span", { className: "bar", ariaHidden: "true" }, filled),
  );
}

function drawFile({ file, result }, { texts, number }) {
  const size = result ? ` · ${texts.size(number.format(result.width), number.format(result.height))}` : "";
  const time = result ? ` · ${texts.time(number.format(Math.round(result.milliseconds)))}` : "";
  return make("p", { className: "file" }, make("bdi", {}, file.name), size, time);
}
