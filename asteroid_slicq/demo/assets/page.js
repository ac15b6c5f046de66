// The page: from a file over its progress to the player.
const root = element.querySelector(".slicq"), find = (name) => root.querySelector(name);
const base = new URL(".", document.baseURI).href;
let ticket = null, upload = null, player = null, lanes = [], original = false, began = 0, frame = 0;

function show(stage) {
  root.dataset.stage = stage;
}

function complain(text) {
  find(".notice").textContent = text;
  find(".notice").hidden = !text;
}

function url(name) {
  return base + "songs/" + ticket + "/" + name;
}

function restart(text) {
  ticket = null;
  if (player) player.close();
  player = null;
  cancelAnimationFrame(frame);
  find(".file").value = "";
  complain(text);
  show("idle");
}

function tell(status, part) {
  const bar = find(".bar");
  find(".status").textContent = status;
  bar.classList.toggle("busy", part === null);
  bar.firstElementChild.style.width = 100 * (part || 0) + "%";
  if (part === null) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", Math.round(100 * part));
}

function take(file) {
  complain("");
  if (!file) return;
  if (file.size > facts.max_bytes) {
    restart(file.name + " is larger than " + facts.max_mb + " MB, which is what this page takes.");
    return;
  }
  if (!file.size) {
    restart(file.name + " is empty (0 bytes).");
    return;
  }
  find(".name").textContent = file.name;
  tell("Uploading", 0);
  show("working");
  const request = upload = new XMLHttpRequest();
  request.open("POST", base + "songs?name=" + encodeURIComponent(file.name));
  request.setRequestHeader("X-Song", "1");
  request.upload.onprogress = (event) => tell("Uploading", event.loaded / event.total);
  request.onload = () => {
    upload = null;
    let answer = {};
    try { answer = JSON.parse(request.responseText); } catch {}
    if (request.status !== 200) {
      restart(answer.error || "The server does not take this file.");
      return;
    }
    ticket = answer.ticket;
    fetch(url("")).catch(() => {}); // soon, or the server takes it for a song that nobody has
    tell("Waiting for its turn", null);
    trigger("separate", { ticket, model: find(".model select").value });
    follow(ticket);
  };
  request.onerror = () => restart("The server cannot be reached.");
  request.send(file);
}

// While the server works: how many songs wait, and whether it still is there and has this one. Asking
// keeps a song that waits.
async function follow(mine) {
  const isMine = () => ticket === mine && root.dataset.stage === "working";
  let misses = 0;
  for (await pause(1000); isMine(); await pause(2000)) {
    try {
      const known = (await fetch(url(""))).ok;
      const { queue_size } = await (await fetch(base + "gradio_api/queue/status")).json();
      if (isMine() && queue_size && find(".status").textContent.startsWith("Waiting"))
        tell("Waiting for its turn (" + queue_size + " in the queue)", null);
      misses = known ? 0 : misses + 1;
    } catch { misses++; }
    if (misses > 2 && isMine()) restart("The connection to the server was lost. Try again.");
  }
}

function update(state) {
  if (!state || state.ticket !== ticket) return;
  if (state.stage === "failed") restart(state.error);
  if (state.stage === "reading") tell("Reading", null);
  if (state.stage === "separating") {
    const { done_s, total_s } = state, part = done_s / total_s;
    if (!done_s) began = Date.now();
    const left = part ? (Date.now() - began) / 1000 * (1 / part - 1) : 0;
    const more = left > 5 ? ", about " + (left < 90 ? Math.ceil(left) + " s" : Math.ceil(left / 60) + " min") + " left" : "";
    tell("Separating: " + clock(done_s) + " of " + clock(total_s) + more, part);
  }
  if (state.stage === "done") open(state);
}

function open(state) {
  const { sample_rate, n_samples, n_channels, tracks } = state, seconds = n_samples / sample_rate;
  const channels = { 1: "mono", 2: "stereo" }[n_channels] || n_channels + " channels";
  player = new Player(state, (index) => url("sound/" + index), shown, complain);
  find(".title").textContent = state.title;
  find(".details").textContent = [clock(seconds), sample_rate / 1000 + " kHz", channels].join(" · ");
  find(".zip").href = url("stems.zip");
  find(".end").textContent = clock(seconds);
  find(".seek").max = seconds;
  const hooks = { url, changed: mix, seek: (part) => player.seek(part * n_samples) };
  lanes = tracks.map((track) => new Lane(root, state, track, hooks));
  find(".lanes").replaceChildren(...lanes.map((lane) => lane.node));
  addPresets(tracks);
  original = false;
  mix();
  show("done");
  find(".play").focus({ preventScroll: true });
  drawAll(ticket);
  shown();
}

async function drawAll(mine) {
  for (const lane of lanes) {
    if (ticket !== mine) return;
    await lane.load(url("levels/" + lane.track)).catch(() => {});
  }
}

function addPresets(tracks) {
  const presets = { Everything: [] };
  if (tracks.includes("vocals") && tracks.length > 2) {
    presets.Karaoke = ["vocals"];
    presets["A cappella"] = tracks.filter((track) => track !== "vocals");
  }
  if (tracks.includes("drums") && tracks.length > 2) presets["No drums"] = ["drums"];
  find(".presets").replaceChildren(...Object.entries(presets).map(([name, muted]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => {
      for (const lane of lanes) Object.assign(lane, { muted: muted.includes(lane.track), soloed: false, volume: 1 });
      original = false;
      mix();
    });
    return button;
  }));
}

function mix() {
  const stems = lanes.filter((lane) => lane.track !== "mix"), some = stems.some((lane) => lane.soloed);
  const query = new URLSearchParams();
  for (const lane of stems) {
    const gain = lane.muted || (some && !lane.soloed) ? 0 : lane.volume;
    if (gain) query.set(lane.track, gain);
    player.setGain(lanes.indexOf(lane), original ? 0 : gain);
    lane.show(!original && gain > 0);
  }
  const whole = lanes.find((lane) => lane.track === "mix");
  player.setGain(lanes.indexOf(whole), original ? 1 : 0);
  whole.show(original);
  find(".stems").setAttribute("aria-pressed", !original);
  find(".original").setAttribute("aria-pressed", original);
  find(".remix").href = url("remix.wav") + "?" + query;
}

function shown() {
  cancelAnimationFrame(frame);
  if (!player) return;
  const { position, total, rate } = player, seek = find(".seek");
  root.style.setProperty("--at", position / total);
  seek.value = position / rate;
  seek.style.setProperty("--part", position / total);
  seek.setAttribute("aria-valuetext", clock(position / rate) + " of " + clock(total / rate));
  find(".now").textContent = clock(position / rate);
  root.classList.toggle("playing", player.playing);
  root.classList.toggle("waiting", player.playing && player.waiting);
  find(".play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  if (player.playing) frame = requestAnimationFrame(shown);
}

function toggle() {
  if (player.playing) player.pause();
  else player.play();
}

find(".choose").addEventListener("click", () => find(".file").click());
find(".file").addEventListener("change", (event) => take(event.target.files[0]));
find(".play").addEventListener("click", toggle);
find(".seek").addEventListener("input", (event) => player.seek(event.target.value * player.rate));
find(".stems").addEventListener("click", () => { original = false; mix(); });
find(".original").addEventListener("click", () => { original = true; mix(); });
find(".again").addEventListener("click", () => {
  navigator.sendBeacon(url("stop"));
  restart("");
});
find(".cancel").addEventListener("click", () => {
  if (upload) upload.abort();
  if (ticket) navigator.sendBeacon(url("stop"));
  upload = null;
  restart("");
});
addRecorder(find(".record"), take, complain);

const drop = find(".drop"), isFile = (event) => event.dataTransfer && event.dataTransfer.types.includes("Files");
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    const taking = root.dataset.stage === "idle";
    drop.classList.toggle("over", taking && ["dragenter", "dragover"].includes(name));
    if (name === "drop" && taking) take(event.dataTransfer.files[0]);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !player || root.dataset.stage !== "done") return;
  if (event.target.closest("button, a, select, input:not([type=range])")) return;
  event.preventDefault();
  toggle();
});

// Gradio knows the theme that its visitor asked for; colours follow it, and pictures the colours.
function recolor() {
  const dark = document.body.classList.contains("dark"), list = document.documentElement.classList;
  list.toggle("dark-page", dark);
  list.toggle("light-page", !dark);
  for (const lane of lanes) lane.draw();
}
new MutationObserver(recolor).observe(document.body, { attributeFilter: ["class"] });
recolor();
window.addEventListener("pagehide", () => { if (ticket) navigator.sendBeacon(url("stop")); });
watch("value", () => update(props.value));
