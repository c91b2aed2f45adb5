// The API of the server: the facts of the model, and the answer for one image.

const TRIES = 5; // of an image that a busy server turns away
const LONGEST_WAIT_S = 30;

// What a person can do about a reply, as a name that texts.js has words for. A proxy in front may send these as well.
const FAILURES = {
  400: "notImage",
  401: "key",
  408: "time",
  413: "bytes",
  415: "notImage",
  422: "notImage",
  429: "busy",
  502: "offline",
  503: "busy",
  504: "time",
};

let key = null; // in memory only

export function useKey(text) {
  key = text;
}

/** Why there is no answer, as a name that texts.js has words for. */
export class Failure extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** The facts of the model. Throws a Failure. */
export async function readModel() {
  const reply = await send("/v1/model", {});
  if (!reply.ok) throw await makeFailure(reply);
  return readJson(reply);
}

/** The result for an image. While the server is busy it waits, tells `onBusy` for how many seconds, and tries again.
 *  Throws a Failure. */
export async function predict(file, signal, onBusy) {
  await requireReadable(file);
  for (let attempt = 1; ; attempt++) {
    const body = new FormData(); // it accepts files whose type the browser does not know
    body.append("image", file);
    const reply = await send("/v1/predict", { method: "POST", body, signal });
    if (reply.ok) return (await readJson(reply)).results[0];
    const failure = await makeFailure(reply);
    if (failure.code !== "busy" || attempt === TRIES) throw failure;
    const seconds = Math.min(Number(reply.headers.get("Retry-After")) || 1, LONGEST_WAIT_S);
    onBusy(seconds);
    await pause(seconds, signal);
  }
}

async function send(path, options) {
  const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("offline");
  }
}

async function readJson(reply) {
  try {
    return await reply.json();
  } catch {
    throw new Failure("server"); // it is no reply of this server, or was cut off
  }
}

async function makeFailure(reply) {
  const body = await reply.json().catch(() => ({}));
  if (body.results?.[0]?.error?.code === "image_too_large") return new Failure("pixels");
  return new Failure(FAILURES[reply.status] ?? "server");
}

async function requireReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer(); // for a folder or a moved file, sending fails like for a server that is off
  } catch {
    throw new Failure("gone");
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
