// What is made of the outputs of a network that reads: statistics of heads, guesses, the logit lens, and numbers
// as readers see them. The definitions are those of generator/probes; nothing here touches the page.
globalThis.cutawayNumbers = (() => {
  const UNIT = 10000;
  const TOP = 5; // guesses that are told

  // Lets the page answer its reader in the middle of long sums.
  const pause = () => new Promise((done) => setTimeout(done));

  // One column each: the key and the words of heads.csv where it has the statistic.
  const STATISTICS = [
    ["entropy_nats", "Entropy", "mean over queries i of −Σⱼ A[i, j] ln A[i, j], in nats (Clark et al. 2019)"],
    ["mean_distance", "Mean distance", "mean over queries i of Σⱼ A[i, j] · |i − j|, in tokens (Vig & Belinkov 2019)"],
    ["previous_token", "Previous token", "mean over queries i of A[i, i − 1] (Clark et al. 2019)"],
    ["next_token", "Next token", "mean over queries i of A[i, i + 1] (Clark et al. 2019)"],
    ["sink_mass", "First token", "mean over queries i ≥ 1 of A[i, 0], the sink mass (Xiao et al. 2023)"],
    ["itself", "Itself", "mean over queries i of A[i, i]"],
    ["duplicate_token", "Duplicate token", "mean over repeated tokens of the weight on earlier copies of the same token (Wang et al. 2022)"],
  ].map(([key, name, words]) => ({ key, name, words }));

  // Under a causal mask nothing looks ahead.
  const statisticsOf = (causal) => STATISTICS.filter(({ key }) => !(causal && key === "next_token"));

  // For each token the places before it that hold the same one.
  function copies(ids) {
    return Array.from(ids, (id, place) => Array.from(ids.slice(0, place), (one, at) => (one === id ? at : -1)).filter((at) => at >= 0));
  }

  // All statistics of one head: weights (n, n) row by row, and the earlier copies of each of the n tokens.
  function statistics(weights, earlier) {
    const count = earlier.length;
    const sums = { entropy_nats: 0, mean_distance: 0, previous_token: 0, next_token: 0, sink_mass: 0, itself: 0, duplicate_token: 0 };
    let repeated = 0;
    for (let query = 0; query < count; query += 1) {
      const row = weights.subarray(query * count, (query + 1) * count);
      for (let key = 0; key < count; key += 1) {
        if (row[key] > 0) sums.entropy_nats -= row[key] * Math.log(row[key]);
        sums.mean_distance += row[key] * Math.abs(query - key);
      }
      sums.itself += row[query];
      if (query > 0) sums.previous_token += row[query - 1];
      if (query > 0) sums.sink_mass += row[0];
      if (query < count - 1) sums.next_token += row[query + 1];
      for (const key of earlier[query]) sums.duplicate_token += row[key];
      if (earlier[query].length) repeated += 1;
    }
    const over = { previous_token: count - 1, next_token: count - 1, sink_mass: count - 1, duplicate_token: repeated };
    // Without any such query there is no mean: 0 of 0 is no number.
    return Object.fromEntries(Object.entries(sums).map(([key, sum]) => [key, sum / (over[key] ?? count)]));
  }

  // A head that looks at all visible keys alike: the control.
  function even(count, causal) {
    const weights = new Float32Array(count * count);
    for (let query = 0; query < count; query += 1) {
      const seen = causal ? query + 1 : count;
      weights.fill(1 / seen, query * count, query * count + seen);
    }
    return weights;
  }

  // How far a row is from summing to 1 at most; Infinity where something is no number.
  function unbalance(weights, width) {
    let worst = 0;
    for (let start = 0; start < weights.length; start += width) {
      let sum = 0;
      for (let key = start; key < start + width; key += 1) sum += weights[key];
      const off = Math.abs(sum - 1);
      if (!(off <= worst)) worst = Number.isNaN(off) ? Infinity : off;
    }
    return worst;
  }

  // Weights (layers, heads, n, n) as whole ten-thousandths, rounded as numpy rounds them, half to even; under a
  // causal mask the keys up to the query.
  function whole(weights, count, causal) {
    const found = new Uint16Array(causal ? (weights.length / count / count) * (count * (count + 1)) / 2 : weights.length);
    let at = 0;
    for (let start = 0; start < weights.length; start += count) {
      const seen = causal ? ((start / count) % count) + 1 : count;
      for (let key = start; key < start + seen; key += 1) {
        const scaled = Math.fround(weights[key] * UNIT);
        const down = Math.floor(scaled);
        const rest = scaled - down;
        found[at++] = rest > 0.5 || (rest === 0.5 && down % 2) ? down + 1 : down;
      }
    }
    return found;
  }

  // Matrices (width, count), one after the other, each turned over.
  function turned(values, width, count) {
    const found = new Float32Array(values.length);
    for (let at = 0; at < values.length; at += 1) {
      const [row, column] = [Math.floor(at / count) % width, at % count];
      found[at - row * count - column + column * width + row] = values[at];
    }
    return found;
  }

  // Logarithms of the probabilities that logits stand for.
  function logSoftmax(logits) {
    const most = logits.reduce((found, one) => Math.max(found, one), -Infinity);
    const total = logits.reduce((sum, one) => sum + Math.exp(one - most), 0);
    return Float64Array.from(logits, (one) => one - most - Math.log(total));
  }

  // The places of the largest values, equal ones in order.
  function largest(values, length) {
    const best = [];
    for (let place = 0; place < values.length; place += 1) {
      if (best.length === length && !(values[place] > values[best[length - 1]])) continue;
      let at = best.length;
      while (at > 0 && values[place] > values[best[at - 1]]) at -= 1;
      best.splice(at, 0, place);
      if (best.length > length) best.pop();
    }
    return best;
  }

  // The likeliest tokens with their probabilities.
  function guesses(logits) {
    const logs = logSoftmax(logits);
    return largest(logs, TOP).map((id) => ({ id, share: Math.exp(logs[id]) }));
  }

  // Rows (layers + 1, vocabulary) of logits behind the embedding and each block, at the last token: the likeliest
  // tokens, and of the token that the last row has first the rank and the probability; KL(last || row) in nats.
  async function lens(rows, width) {
    const logs = [];
    for (let start = 0; start < rows.length; start += width) {
      logs.push(logSoftmax(rows.subarray(start, start + width)));
      await pause();
    }
    const final = logs.at(-1);
    const [answer] = largest(final, 1);
    const found = [];
    for (const one of logs) {
      found.push({
        guesses: largest(one, TOP).map((id) => ({ id, share: Math.exp(one[id]) })),
        rank: 1 + one.reduce((above, log) => above + (log > one[answer]), 0),
        share: Math.exp(one[answer]),
        apart: final.reduce((sum, log, id) => sum + (log > -Infinity ? Math.exp(log) * (log - one[id]) : 0), 0),
      });
      await pause();
    }
    return found;
  }

  // Numbers as generator/formatting.py writes them.

  const MINUS = "\u2212";
  const raised = (power) => Array.from(power, (one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one] ?? "⁻").join("");

  function fixed(value, places) {
    const text = value.toFixed(places).replace("-", MINUS);
    return /[1-9]/.test(text) ? text : text.replace(MINUS, "");
  }

  function number(value, digits = 3) {
    if (!Number.isFinite(value)) return value === Infinity ? "∞" : "–";
    if (value === 0) return "0";
    if (Math.abs(value) < 10 ** -digits / 2) {
      const [mantissa, power] = value.toExponential(1).split("e");
      return `${mantissa.replace("-", MINUS)}·10${raised(power)}`;
    }
    const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
    return fixed(value, Math.min(Math.max(0, digits - 1 - exponent), digits));
  }

  function percent(share, places = 1) {
    if (!Number.isFinite(share)) return share === Infinity ? "∞" : "–";
    if (share > 0 && share < 0.5 * 10 ** -(places + 2)) return `<\u00a0${10 ** -places}\u00a0%`;
    return `${fixed(100 * share, places)}\u00a0%`;
  }

  return { pause, statisticsOf, copies, statistics, even, unbalance, whole, turned, guesses, lens, number, percent };
})();
