// A picture of the reader's, opened as generator/inputs/images.py opens one: upright, without its colour profile,
// transparency over grey. It is read from the file that was chosen, and stays in this page.
Object.assign(globalThis.cutawayPicture ??= {}, (() => {
  const MOST = 89478485; // pixels; Pillow warns of larger ones, and Cutaway refuses them
  const LARGEST = 256 * 2 ** 20; // bytes
  const GROUND = 128; // grey

  // A sentence for the reader.
  class Refused extends Error {}

  // Width and height, for which a browser reads the head of a file only.
  async function sizeOf(blob) {
    const photo = new Image();
    const url = URL.createObjectURL(blob);
    try {
      photo.src = url;
      await new Promise((done, failed) => {
        photo.onload = done;
        photo.onerror = failed;
      });
      return [photo.naturalWidth, photo.naturalHeight];
    } catch {
      throw new Refused("This file cannot be opened as a picture.");
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  async function bitmapOf(blob) {
    try {
      return await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" });
    } catch {
      throw new Refused("This file cannot be opened as a picture: it is cut short, damaged, or of a kind that this browser does not draw.");
    }
  }

  // Numbers of 16 bits, where a browser has them, keep the colours of what is nearly clear.
  function penOf(canvas, colorType = "unorm8") {
    return canvas.getContext("2d", { willReadFrequently: true, colorType });
  }

  // Some browsers change the pixels that a page reads back, so that it cannot tell one reader from another.
  function changesPixels() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [32, 32];
    const pen = penOf(canvas);
    const sent = pen.createImageData(32, 32);
    sent.data.forEach((_, i) => { sent.data[i] = i % 4 === 3 ? 255 : (37 * i) % 256; });
    pen.putImageData(sent, 0, 0);
    return pen.getImageData(0, 0, 32, 32).data.some((one, i) => one !== sent.data[i]);
  }

  // A PNG says in its 25th byte how many bits a channel has.
  async function isDeep(blob) {
    const head = new Uint8Array(await blob.slice(0, 25).arrayBuffer());
    return head[1] === 0x50 && head[2] === 0x4e && head[3] === 0x47 && head[24] === 16;
  }

  // Whether a WebP says that it is to be turned: Python turns it, and most browsers do not.
  async function isTurned(blob) {
    const at = async (from, length) => new DataView(await blob.slice(from, from + length).arrayBuffer());
    const text = (view, from = 0) => String.fromCharCode(...new Uint8Array(view.buffer, from, 4));
    const head = await at(0, 12);
    if (head.byteLength < 12 || text(head) !== "RIFF" || text(head, 8) !== "WEBP") return false;
    for (let from = 12; from + 8 <= blob.size;) {
      const chunk = await at(from, 8);
      const length = chunk.getUint32(4, true);
      if (text(chunk) === "EXIF") return turned(await at(from + 8, Math.min(length, 65536)));
      from += 8 + length + (length % 2);
    }
    return false;
  }

  // Tag 0x0112 in the first directory of a TIFF header, which "Exif" may stand before.
  function turned(exif) {
    const start = exif.byteLength > 6 && exif.getUint32(0) === 0x45786966 ? 6 : 0;
    try {
      const little = exif.getUint16(start) === 0x4949;
      const list = start + exif.getUint32(start + 4, little);
      for (let i = 0; i < exif.getUint16(list, little); i += 1) {
        const entry = list + 2 + 12 * i;
        if (exif.getUint16(entry, little) === 0x0112) return exif.getUint16(entry + 8, little) !== 1;
      }
    } catch {
      // cut short: it says nothing
    }
    return false;
  }

  // An opened picture: `read` gives a part of it as RGBA bytes, `notes` is what must be said of it then.
  class Picture {
    constructor(bitmap, notes) {
      Object.assign(this, { bitmap, notes, width: bitmap.width, height: bitmap.height });
      [this.canvas, this.deep] = [document.createElement("canvas"), document.createElement("canvas")];
    }

    read(left, top, width, height) {
      const data = this.draw(penOf(this.canvas), left, top, width, height);
      if (!isClear(data)) return data;
      this.notes.add("It is transparent in places: grey lies below. Its pixels can differ by a level or two of 255 from those that Python makes.");
      return laid(this.draw(penOf(this.deep, "float16"), left, top, width, height));
    }

    draw(pen, left, top, width, height) {
      Object.assign(pen.canvas, { width, height });
      pen.imageSmoothingEnabled = false; // a new size forgets it
      pen.drawImage(this.bitmap, left, top, width, height, 0, 0, width, height);
      return pen.getImageData(0, 0, width, height).data;
    }

    close() {
      this.bitmap.close();
    }
  }

  function isClear(data) {
    for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return true;
    return false;
  }

  // Over grey, rounded as Pillow does (src/libImaging/AlphaComposite.c, with a ground that hides all).
  function laid(data) {
    for (let i = 0; i < data.length; i += 4) {
      const cover = data[i + 3];
      for (let c = i; c < i + 3; c += 1) {
        const sum = 128 * (data[c] * cover + GROUND * (255 - cover)) + 16384;
        data[c] = (((sum >> 8) + sum) >> 8) >> 7;
      }
      data[i + 3] = 255;
    }
    return data;
  }

  // Raises Refused, with the reason, for what is no picture or too large a one.
  async function open(blob) {
    if (blob.size > LARGEST) throw new Refused(`This file has ${Math.round(blob.size / 2 ** 20)} MB; pictures of at most 256 MB are read.`);
    const [width, height] = await sizeOf(blob);
    if (width * height > MOST) {
      throw new Refused(`This picture has ${Math.round((width * height) / 1e6)} million pixels; at most 89 million are read, here as in Python. Make it smaller first.`);
    }
    if (!width || !height) throw new Refused("This file is a drawing without a size of its own, not a picture of pixels.");
    const notes = new Set();
    if (await isDeep(blob)) notes.add("It has 16 bits a channel, of which browsers keep 8: its pixels can differ by a few levels of 255 from those that Python makes.");
    if (await isTurned(blob)) notes.add("This WebP file says that it is to be turned, which Python does and browsers mostly do not: turn it before, and save it so.");
    if (changesPixels()) notes.add("This browser changes the pixels that pages may read, against tracking: what is shown here differs a little from what the network says of your picture.");
    return new Picture(await bitmapOf(blob), notes);
  }

  return { open, Refused };
})());
