// A button that records from the microphone and hands over a file. Browsers offer a microphone to
// pages of this machine and to those over HTTPS alone.
function addRecorder(button, done, failed) {
  if (!navigator.mediaDevices || !window.MediaRecorder) return;
  const label = button.querySelector(".label");
  let recorder = null, timer;
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (recorder) { recorder.stop(); return; }
    let stream;
    try {
      const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch {
      failed("The browser gives no microphone to this page.");
      return;
    }
    const parts = [], begin = Date.now();
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      button.classList.remove("on");
      label.textContent = "Record";
      const type = recorder.mimeType.split(";")[0], suffix = type.endsWith("mp4") ? ".m4a" : ".webm";
      recorder = null;
      done(new File(parts, "recording" + suffix, { type }));
    };
    recorder.start();
    button.classList.add("on");
    label.textContent = "Stop, 0:00";
    timer = setInterval(() => { label.textContent = "Stop, " + clock((Date.now() - begin) / 1000); }, 500);
  });
}

function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  return Math.floor(s / 60) + ":" + String(s % 60).padStart(2, "0");
}
