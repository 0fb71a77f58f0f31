// Reads pictures for phones: by the camera, or out of a picture.
import { decodeQR } from "./vendor/qr/decode.js";

const MAX_SIDE = 1600;

const readFrom = (source, width, height, side) => {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  try {
    return decodeQR({ width: canvas.width, height: canvas.height, data });
  } catch {
    return "";
  }
};

// fromPicture is what a picture says, or "". Large ones are read smaller, then
// as they are.
export const fromPicture = async (file) => {
  const image = await createImageBitmap(file);
  try {
    return readFrom(image, image.width, image.height, 800) || readFrom(image, image.width, image.height, MAX_SIDE);
  } finally {
    image.close();
  }
};

// fromCamera looks until it has read something, or stop is aborted; "" then.
export const fromCamera = async (video, stop) => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  const end = () => stream.getTracks().forEach((track) => track.stop());
  if (stop.aborted) return end(), "";
  stop.addEventListener("abort", end, { once: true });
  video.srcObject = stream;
  try {
    await video.play();
    while (!stop.aborted) {
      if (video.videoWidth) {
        const said = readFrom(video, video.videoWidth, video.videoHeight, 640);
        if (said) return said;
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    return "";
  } finally {
    end();
  }
};
