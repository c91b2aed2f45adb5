// Sentences and numbers in the reader's language, about one model. A sentence is a list of parts, in which a label is
// what `name` makes of it: an element for those who see it, a text for those who hear it.

import { TEXTS } from "./texts.js";

const MOST_OF_A_SET = 8; // classes of a set that are named

export class Words {
  constructor(language, model) {
    this.language = language;
    this.texts = TEXTS[language];
    this.model = model;
    this.number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
    this.percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
    const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 }; // those of one column are written alike
    this.rate = new Intl.NumberFormat(language, { style: "percent", ...digits });
  }

  /** What was measured, with its interval. */
  measured({ value, low, high }) {
    return `${this.rate.format(value)} [${this.rate.format(low)},\u00a0${this.rate.format(high)}]`;
  }

  /** A probability; one that rounding would make 0 or 100% does not become that. */
  share(probability) {
    if (probability > 0 && probability < 0.001) return `<\u00a0${this.rate.format(0.001)}`;
    if (probability < 1 && probability > 0.999) return `>\u00a0${this.rate.format(0.999)}`;
    return this.rate.format(probability);
  }

  /** The size of a file. */
  size(bytes) {
    const [size, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
    return new Intl.NumberFormat(this.language, { style: "unit", unit, maximumFractionDigits: 1 }).format(size);
  }

  /** The largest of some small differences: rounded up, so that none is larger than what is shown. */
  largest(difference) {
    const format = { maximumSignificantDigits: 1, roundingMode: "ceil" };
    return new Intl.NumberFormat(this.language, format).format(difference);
  }

  /** What the run promised, and how the model kept it on the test images; undefined until the server has said. */
  get promises() {
    return this.model?.certificate.promises;
  }

  /** The rule for sets, as it did on the test images. */
  get setCheck() {
    return this.promises?.sets.find((check) => check.rule === "lac");
  }

  /** The answer for an image, or that there is none. */
  answer(result, name) {
    if (result.doubt) return [this.texts.unknown];
    return this.texts.answer(name(result.label), this.share(result.probability));
  }

  /** Why there is no answer. */
  doubt(result, name) {
    const [nearest, share] = [name(result.nearest), this.share(result.probability)];
    if (result.doubt.code === "unlike") return this.texts.unlike(nearest, share);
    const least = this.promises?.confidence;
    return this.texts.unsure(nearest, share, least && this.share(least));
  }

  /** The set of classes, the most probable first. */
  set(result, name) {
    if (result.doubt?.code === "unlike") return this.texts.setUnlike;
    const promised = this.setCheck && this.percent.format(this.setCheck.promised);
    if (result.set.length === 0) return this.texts.setEmpty(promised);
    const first = result.top.map(({ label }) => label).filter((label) => result.set.includes(label));
    const labels = [...first, ...result.set.filter((label) => !first.includes(label))];
    const more = labels.length - MOST_OF_A_SET;
    const parts = labels.slice(0, MOST_OF_A_SET).flatMap((label, index) => [index ? ", " : "", name(label)]);
    if (more > 0) parts.push(this.texts.more(more));
    else if (labels.length > 1) parts[parts.length - 2] = this.texts.or;
    return this.texts.setOf(parts, promised);
  }

  /** Why an image has no result, and what to do. */
  failure({ code }, file) {
    const { bytes, pixels } = this.model?.limits ?? {};
    if (code === "bytes") return this.texts.tooManyBytes(this.size(file.size), bytes && this.size(bytes));
    if (code === "pixels") return this.texts.tooManyPixels(pixels && this.number.format(pixels / 1e6));
    return this.texts.failures[code];
  }

  /** The outcome for an image in one line, for those who hear it. */
  outcome({ failure, result, file }) {
    const name = (label) => label;
    if (failure) return `${this.texts.noAnswer} ${this.failure(failure, file)}`;
    const doubt = result.doubt ? ` ${this.doubt(result, name).join("")}` : "";
    return this.answer(result, name).join("") + doubt;
  }
}
