// What runs beside the page: the network, and the tokenizer of one that reads. This function is never called
// here; live.js puts its text into a worker, behind the two libraries and the decoder.
globalThis.cutawayWorker = (scope, ort, library, tools) => {
  let descriptor = null;
  let packed = null; // weights as they come
  let filled = 0;
  let session = null;
  let tokenizer = null;
  const files = new Map();
  const kept = new Map(); // decoded tensors that the page may ask for

  class Said extends Error {} // an error in words for readers

  const calls = {
    begin(given) {
      descriptor = given;
      packed = new Uint8Array(tools.totals(descriptor.tensors).bytes);
    },

    // One file: base64 of its bytes. A cache may hold one of an older build.
    file(name, text) {
      const bytes = tools.base64(text);
      const wanted = descriptor.crc32[name];
      if (wanted !== undefined && tools.crc32(bytes) !== wanted) {
        throw new Said(`The file ${name}.js is damaged, or belongs to another version of this page. Load the page anew.`);
      }
      if (!descriptor.files.weights.includes(name)) {
        files.set(name, bytes);
        return;
      }
      if (filled + bytes.length > packed.length) throw new Said("There are more weights than the network has. Load the page anew.");
      packed.set(bytes, filled);
      filled += bytes.length;
    },

    async open(glue) {
      if (filled !== packed.length) throw new Said("Some of the weights are missing. Load the page anew.");
      const floats = weights();
      Object.assign(ort.env.wasm, {
        numThreads: 1, proxy: false, wasmPaths: { mjs: glue }, wasmBinary: (await unpacked("wasm")).buffer,
      });
      ort.env.logLevel = "error";
      session = await ort.InferenceSession.create(await unpacked(descriptor.files.graph[0]), {
        executionProviders: ["wasm"],
        externalData: [{ path: descriptor.external, data: new Uint8Array(floats.buffer) }],
      });
      if (descriptor.files.tokenizer) await readTokenizer();
      files.clear();
    },

    async run(feeds, names) {
      const given = {};
      for (const [name, { type, data, dims }] of Object.entries(feeds)) given[name] = new ort.Tensor(type, data, dims);
      const found = await (names ? session.run(given, names) : session.run(given));
      const answer = {};
      for (const [name, { data, dims }] of Object.entries(found)) answer[name] = { data, dims: [...dims] };
      return answer;
    },

    tensor(index) {
      if (!kept.has(index)) throw new Error(`tensor ${index} was not kept`);
      return kept.get(index).slice();
    },

    // The ids of a text and the tokens as the site shows them, or the first character that is refused.
    encode(text) {
      const refused = Array.from(text, (one) => one.codePointAt(0)).find(isRefused);
      if (refused !== undefined) return { refused };
      const { ids } = tokenizer.library.encode(text, { add_special_tokens: descriptor.text.special });
      if (!ids.every((id) => tokenizer.shown[id] !== undefined)) throw new Error("the tokenizer made a token that is not in its list");
      const without = ids.find((id) => id >= descriptor.text.rows);
      if (without !== undefined) throw new Said(`The tokenizer makes the token ${tokenizer.shown[without]}, which this network has no embedding of.`);
      return { ids, tokens: ids.map((id) => tokenizer.shown[id]) };
    },

    shown: (ids) => ids.map((id) => tokenizer.shown[id] ?? `⟨${id}⟩`),
  };

  function weights() {
    const floats = new Float32Array(tools.totals(descriptor.tensors).floats);
    for (const tensor of descriptor.tensors) tools.decode(tensor, packed, floats);
    packed = null;
    const { cam } = descriptor.picture ?? {};
    for (const index of cam ? [cam.weight, cam.bias] : []) {
      const tensor = descriptor.tensors[index];
      if (tensor) kept.set(index, floats.slice(tensor.at, tensor.at + tensor.count));
    }
    return floats;
  }

  const unpacked = (name) => tools.gunzip(files.get(name));

  async function readTokenizer() {
    const told = JSON.parse(new TextDecoder().decode(await unpacked(descriptor.files.tokenizer)));
    const { Tokenizer } = library;
    tokenizer = { library: new Tokenizer(told.tokenizer, told.config), shown: told.shown, refused: told.refused };
  }

  // Half of a character, or one that this library would read otherwise than the one in Python.
  function isRefused(code) {
    return (code >= 0xd800 && code <= 0xdfff) || tokenizer.refused.some(([from, to]) => code >= from && code <= to);
  }

  let queue = Promise.resolve();
  scope.onmessage = ({ data: { id, call, given } }) => {
    queue = queue.then(async () => {
      try {
        const answer = await calls[call](...given);
        scope.postMessage({ id, answer }, buffersOf(answer));
      } catch (error) {
        scope.postMessage({ id, error: String(error?.message ?? error), said: error instanceof Said });
      }
    });
  };

  // Large arrays move to the page instead of being copied.
  function buffersOf(answer) {
    if (answer instanceof Float32Array) return [answer.buffer];
    const arrays = Object.values(answer ?? {}).map((one) => one?.data).filter(ArrayBuffer.isView);
    return [...new Set(arrays.map((one) => one.buffer))];
  }
};
