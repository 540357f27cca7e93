"use strict";
// Draws how probable each class is over time: a row for each, in it a bar for each answer, as high as it is probable.

import { ORANGE } from "/page.js";

const BLUE = "#0072B2", SILENCE = "#BBBBBB", INK = "#111111", PAPER = "#FFFFFF";
const WIDTH = 1000, ROW = 66, GAP = 10, LEFT = 130, RIGHT = 36, BELOW = 80;    // pixels of the drawing; the page scales it
const FONT = "25px system-ui, sans-serif";
const STEPS = [1, 2, 5, 10, 30, 60, 120];       // seconds from tick to tick

// columns: [{start, end, label, probabilities}] in seconds, probabilities null where it is silent
// from, to: the seconds at the left and the right edge; tick(second): what is written there, axis: below
export function drawTimeline(canvas, classes, columns, { from, to, tick, axis }) {
  canvas.width = WIDTH;
  canvas.height = classes.length * ROW + BELOW;
  const pen = canvas.getContext("2d");
  const bottom = classes.length * ROW;
  const x = (second) => Math.round(LEFT + (second - from) / (to - from) * (WIDTH - LEFT - RIGHT));
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.font = FONT;

  for (const { start, end, label, probabilities } of columns) {
    const left = Math.max(LEFT, x(start)), width = x(end) - left;
    if (width <= 0) continue;
    pen.fillStyle = SILENCE;
    if (!probabilities) pen.fillRect(left, 0, width, bottom);
    else classes.forEach((name, row) => {
      const height = Math.max(1, probabilities[name] * (ROW - GAP));
      pen.fillStyle = name === label ? ORANGE : BLUE;
      pen.fillRect(left, (row + 1) * ROW - height, width, height);
    });
  }

  pen.fillStyle = INK;
  classes.forEach((name, row) => {
    pen.fillRect(LEFT, (row + 1) * ROW - 1, WIDTH - LEFT - RIGHT, 2);
    pen.textAlign = "right";
    pen.fillText(name, LEFT - 14, (row + 1) * ROW - 14, LEFT - 20);
  });
  pen.textAlign = "center";
  const step = STEPS.find((seconds) => (to - from) / seconds <= 10) ?? 300;
  for (let second = Math.ceil(from / step) * step; second <= to; second += step) {
    pen.fillRect(x(second) - 1, bottom, 2, 8);
    pen.fillText(tick(second), x(second), bottom + 34);
  }
  pen.fillText(axis, (LEFT + WIDTH - RIGHT) / 2, bottom + 68);
}
