/** Token maps of one payload: read from its atlases, averaged, enlarged smoothly, coloured. */

// the colours of the figures that the nodes draw, from nothing to the scale's end
export const HEAT = ["#0b0c1e", "#2a1e5c", "#6d2a86", "#c33d6d", "#f58b45", "#fdf3ad"];

const LONGEST_SIDE = 512; // of the painted map; the browser enlarges from there
const FAINTEST = 0.35; // share of the opacity where nothing is looked at: the picture is dimmed

const RAMP = ramp(HEAT, 256);

function ramp(colours, count) {
  const anchors = colours.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const levels = new Uint8ClampedArray(3 * count);
  for (let level = 0; level < count; level++) {
    const place = (level / (count - 1)) * (anchors.length - 1);
    const low = Math.min(Math.floor(place), anchors.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [anchors[low][channel], anchors[low + 1][channel]];
      levels[3 * level + channel] = from + (to - from) * (place - low);
    }
  }
  return levels;
}

/** One conditioning's maps. Tokens go by name, so that a pin outlives a change of the prompt. */
export class TokenMaps {
  #levels;
  #addressOf;

  constructor(payload, addressOf) {
    this.payload = payload;
    this.tokens = named(payload.tokens);
    this.#levels = new Array(payload.frames.length);
    this.#addressOf = addressOf;
  }

  /** Names of the tokens whose map is seen before anybody chose. */
  get first() {
    const places = new Set(this.payload.first ?? []);
    return [...this.tokens].filter(([, token]) => places.has(token.index)).map(([name]) => name);
  }

  get pictureAddress() {
    return this.payload.image && this.#addressOf(this.payload.image);
  }

  /** The atlas's grey levels at a step, or at the last one there is. */
  levels(step) {
    const at = Math.min(step, this.payload.frames.length - 1);
    this.#levels[at] ??= greyLevels(this.#addressOf(this.payload.frames[at].atlas));
    return this.#levels[at];
  }

  /** Mean of some tokens' maps, 1 being the scale's end; null where none of them is here. */
  mean(levels, names) {
    const tokens = names.map((name) => this.tokens.get(name)).filter(Boolean);
    if (!tokens.length) return null;
    const [width, height] = this.payload.cell;
    const values = new Float32Array(width * height);
    for (const token of tokens) {
      const corner = this.#corner(levels, token);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          values[y * width + x] += levels.grey[corner + y * levels.width + x];
        }
      }
    }
    return values.map((value) => value / 255 / tokens.length);
  }

  /** How much one cell looks at one token, as a share of the scale. */
  at(levels, name, x, y) {
    const token = this.tokens.get(name);
    return token ? levels.grey[this.#corner(levels, token) + y * levels.width + x] / 255 : 0;
  }

  /** The cell at a place of the picture, both coordinates from 0 to 1. */
  cellAt(x, y) {
    return this.payload.cell.map((count, axis) => {
      return Math.min(count - 1, Math.max(0, Math.floor([x, y][axis] * count)));
    });
  }

  #corner(levels, token) {
    const { cell, columns } = this.payload;
    const row = Math.floor(token.index / columns);
    return row * cell[1] * levels.width + (token.index % columns) * cell[0];
  }

  /** Paint a mean in the colours up to `end`; the more a place looks, the less shows through. */
  paint(canvas, values, end, opacity) {
    const { width, height, cell } = this.payload;
    const shrink = LONGEST_SIDE / Math.max(width, height);
    canvas.width = Math.max(1, Math.round(width * shrink));
    canvas.height = Math.max(1, Math.round(height * shrink));
    if (!values) return;
    const image = new ImageData(canvas.width, canvas.height);
    const smooth = enlarged(values, cell, [canvas.width, canvas.height]);
    for (let place = 0; place < smooth.length; place++) {
      const value = Math.min(1, Math.max(0, smooth[place] / end));
      const colour = 3 * Math.round(255 * value);
      image.data[4 * place] = RAMP[colour];
      image.data[4 * place + 1] = RAMP[colour + 1];
      image.data[4 * place + 2] = RAMP[colour + 2];
      const strength = FAINTEST + (1 - FAINTEST) * Math.sqrt(value);
      image.data[4 * place + 3] = 255 * opacity * strength;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
}

/** Tokens by label; the second of two alike is `label #2`. */
function named(tokens) {
  const seen = new Map();
  const found = new Map();
  for (const token of tokens) {
    const count = (seen.get(token.label) ?? 0) + 1;
    seen.set(token.label, count);
    found.set(count > 1 ? `${token.label} #${count}` : token.label, token);
  }
  return found;
}

async function greyLevels(address) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const grey = new Uint8Array(data.length / 4);
  for (let place = 0; place < grey.length; place++) grey[place] = data[4 * place];
  return { grey, width: canvas.width };
}

/** Mitchell and Netravali's cubic (B = C = 1/3): smooth, with hardly any ringing. */
function enlarged(values, [width, height], [toWidth, toHeight]) {
  const across = taps(width, toWidth);
  const down = taps(height, toHeight);
  const rows = new Float32Array(toWidth * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < toWidth; x++) {
      let sum = 0;
      for (let tap = 4 * x; tap < 4 * x + 4; tap++) {
        sum += across.weights[tap] * values[y * width + across.places[tap]];
      }
      rows[y * toWidth + x] = sum;
    }
  }
  const found = new Float32Array(toWidth * toHeight);
  for (let y = 0; y < toHeight; y++) {
    for (let tap = 4 * y; tap < 4 * y + 4; tap++) {
      const from = down.places[tap] * toWidth;
      const weight = down.weights[tap];
      for (let x = 0; x < toWidth; x++) found[y * toWidth + x] += weight * rows[from + x];
    }
  }
  return found;
}

function taps(from, to) {
  const places = new Int32Array(4 * to);
  const weights = new Float32Array(4 * to);
  for (let at = 0; at < to; at++) {
    const centre = ((at + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre) - 1;
    for (let tap = 0; tap < 4; tap++) {
      places[4 * at + tap] = Math.min(from - 1, Math.max(0, first + tap));
      weights[4 * at + tap] = mitchell(Math.abs(first + tap - centre));
    }
  }
  return { places, weights };
}

function mitchell(x) {
  if (x < 1) return (7 * x ** 3 - 12 * x ** 2 + 16 / 3) / 6;
  return x < 2 ? ((-7 / 3) * x ** 3 + 12 * x ** 2 - 20 * x + 32 / 3) / 6 : 0;
}
