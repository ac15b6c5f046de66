// A lane of a track: its picture, and for stems mute, solo and volume.
class Lane {
  constructor(root, facts, track, hooks) {
    this.track = track;
    this.facts = facts;
    this.muted = this.soloed = false;
    this.volume = 1;
    this.node = root.querySelector("template.blueprint").content.firstElementChild.cloneNode(true);
    const find = (name) => this.node.querySelector(name), shown = track === "mix" ? "original" : track;
    const known = ["mix", "vocals", "drums", "bass", "other"].includes(track);
    this.color = known ? "--" + track : "--more";
    for (const name of ["--tint", "--lane"]) this.node.style.setProperty(name, "var(" + this.color + ")");
    this.node.dataset.track = track;
    find(".stem").textContent = shown;
    this.canvas = find("canvas");
    this.canvas.setAttribute("aria-label", "sliCQT of " + shown);
    find(".picture").addEventListener("pointerdown", (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      hooks.seek((event.clientX - box.left) / box.width);
    });
    if (track === "mix") {
      find(".mixer").remove();
      find(".save").remove();
      return;
    }
    const save = find(".save"), volume = find(".volume");
    save.href = hooks.url(track + ".wav");
    save.title = "Download " + track;
    save.setAttribute("aria-label", save.title);
    volume.setAttribute("aria-label", "Volume of " + track);
    volume.addEventListener("input", () => { this.volume = Number(volume.value); hooks.changed(); });
    for (const [name, key] of [[".mute", "muted"], [".solo", "soloed"]]) {
      find(name).setAttribute("aria-label", find(name).title + " " + track);
      find(name).addEventListener("click", () => { this[key] = !this[key]; hooks.changed(); });
    }
  }

  show(heard) {
    this.node.classList.toggle("off", !heard);
    if (this.track === "mix") return;
    const volume = this.node.querySelector(".volume");
    volume.value = this.volume;
    volume.style.setProperty("--part", this.volume);
    this.node.querySelector(".mute").setAttribute("aria-pressed", this.muted);
    this.node.querySelector(".solo").setAttribute("aria-pressed", this.soloed);
  }

  async load(url) {
    this.levels = new Uint8Array(await (await fetched(url)).arrayBuffer());
    this.draw();
  }

  draw() {
    if (!this.levels) return;
    const [rows, columns] = this.facts.image, palette = this.palette();
    const context = this.canvas.getContext("2d"), image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++)
      pixels[(rows - 1 - r) * columns + c] = palette[this.levels[r * columns + c]];
    Object.assign(this.canvas, { width: columns, height: rows });
    context.putImageData(image, 0, 0);
    this.canvas.classList.add("drawn");
  }

  palette() { // from nothing over the colour of the lane towards that of the text
    const style = getComputedStyle(this.node), color = (name) => rgb(style.getPropertyValue(name));
    const lane = color(this.color), ink = color("--ink");
    return Uint32Array.from({ length: 256 }, (_, level) => {
      const x = level / 255, much = Math.max(0, (x - 0.6) / 0.4) * 0.75;
      const [r, g, b] = lane.map((value, i) => Math.round(value + (ink[i] - value) * much));
      const alpha = Math.round(255 * Math.min(1, (x / 0.62) ** 1.5));
      return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
    });
  }
}

function rgb(hex) {
  const value = parseInt(hex.trim().slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
