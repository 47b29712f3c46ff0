// The look of the live figures. Blue and orange are the book's colours for normal and anomalous; on
// dark, and for text, their lighter or darker kin, so that text has a contrast of at least 4.5 to 1.
(window.vaeLive = window.vaeLive || {}).style = `
:host {
  --paper: #fff; --card: #f6f7f9; --line: #c9ced6; --control: #7a828e; --ink: #14181f; --quiet: #545b67;
  --normal: #0072b2; --anomaly: #d55e00; --normal-text: #005f96; --anomaly-text: #a84500;
  --normal-wash: #e3f1fa; --anomaly-wash: #fdebdd; --focus: #7a3cff;
  display: block; color: var(--ink); font: inherit; font-size: 1rem; line-height: 1.45;
  container-type: inline-size; margin: 1.25rem 0;
}
:host([data-look="dark"]) {
  --paper: #0f131a; --card: #1b2029; --line: #49515f; --control: #8a94a3; --ink: #f0f3f7; --quiet: #b3bbc8;
  --normal: #3a9fdc; --anomaly: #e8741a; --normal-text: #74c1f0; --anomaly-text: #ff9d57;
  --normal-wash: #10293a; --anomaly-wash: #3a2110; --focus: #c9a8ff;
  color-scheme: dark;
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem; color: var(--ink); }
p, figure, h3 { margin: 0; padding: 0; }
h3 { font: inherit; font-size: 0.9rem; font-weight: 600; margin-bottom: 0.4rem; }
canvas { image-rendering: pixelated; display: block; }
button {
  font: inherit; font-size: 0.9rem; color: var(--ink); background: var(--paper); cursor: pointer;
  border: 1px solid var(--control); border-radius: 8px; padding: 0.4rem 0.8rem; min-height: 2.5rem;
}
button:hover { border-color: var(--ink); }
button[aria-pressed="true"] { border-color: var(--ink); box-shadow: inset 0 0 0 1px var(--ink); font-weight: 600; }
button:disabled { color: var(--quiet); cursor: default; border-style: dashed; }
:focus { outline: none; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.row { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
.quiet { color: var(--quiet); font-size: 0.88rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.frame { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; background: var(--paper); }
.frame canvas { width: 100%; aspect-ratio: 1; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--quiet); font-size: 12px; font-family: inherit; }
svg .axis { stroke: var(--quiet); stroke-width: 1; }
svg .cut { stroke: var(--ink); stroke-width: 2; stroke-dasharray: 5 3; }
svg text.strong { fill: var(--ink); font-weight: 600; }

/* score: draw a digit */
.stage { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
.slate { position: relative; max-width: 75vh; touch-action: none; border-color: var(--control); }
.slate canvas { width: 100%; aspect-ratio: 1; cursor: crosshair; touch-action: none; border-radius: 8px; }
.slate .hint { position: absolute; inset: auto 0 0.7rem 0; text-align: center; pointer-events: none; color: var(--quiet); font-size: 0.9rem; }
.tools { margin-top: 0.6rem; gap: 0.4rem; }
.tools .row { gap: 0.4rem; }
.tools button { padding: 0.4rem 0.6rem; font-size: 0.85rem; }
.three { display: grid; gap: 0.7rem; grid-template-columns: repeat(2, minmax(0, 1fr)); align-content: start; }
.three figcaption { font-size: 0.85rem; color: var(--quiet); margin-top: 0.25rem; line-height: 1.25; }
.numbers { align-self: stretch; border: 1px solid var(--line); border-radius: 8px; background: var(--paper); padding: 0.5rem 0.8rem; display: grid; align-content: space-evenly; }
.numbers dt { font-size: 0.8rem; color: var(--quiet); line-height: 1.2; }
.numbers dd { margin: 0; font-size: 1.35rem; font-weight: 700; line-height: 1.1; font-variant-numeric: tabular-nums; }
dl { margin: 0; }
.choose { margin-bottom: 0.9rem; }
.verdict { display: flex; gap: 0.7rem; align-items: center; border-radius: 10px; padding: 0.7rem 0.9rem; margin-top: 0.9rem; border: 2px solid var(--line); background: var(--paper); min-height: 4.6rem; }
.verdict .sign { flex: none; width: 2.2rem; height: 2.2rem; display: grid; place-items: center; font-size: 1.25rem; font-weight: 700; border: 2px solid currentColor; color: var(--quiet); }
.verdict strong { display: block; font-size: 1.1rem; line-height: 1.25; }
.verdict.normal { border-color: var(--normal); background: var(--normal-wash); }
.verdict.normal .sign, .verdict.normal strong { color: var(--normal-text); }
.verdict.normal .sign { border-radius: 50%; }
.verdict.anomaly { border-color: var(--anomaly); background: var(--anomaly-wash); }
.verdict.anomaly .sign, .verdict.anomaly strong { color: var(--anomaly-text); }
.verdict.anomaly .sign { transform: rotate(45deg); }
.verdict.anomaly .sign span { transform: rotate(-45deg); }
.verdict p, .reason { font-size: 0.9rem; }
.reason { display: none; margin-top: 0.9rem; }
.verdict.normal p, .verdict.anomaly p { color: var(--ink); }
.ruler { margin-top: 0.9rem; }
.ruler .tick { stroke: var(--normal); stroke-width: 1.5; opacity: 0.75; }
.ruler .beyond { fill: var(--anomaly-wash); }
.ruler .mark { stroke: var(--paper); stroke-width: 1.5; }
.ruler .mark.normal { fill: var(--normal); }
.ruler .mark.anomaly { fill: var(--anomaly); }
.samples { margin-top: 0.9rem; display: grid; gap: 0.7rem; }
.samples .row { gap: 0.4rem; }
.thumb { padding: 3px; width: 3.5rem; line-height: 1.1; font-size: 0.72rem; min-height: 0; }
.thumb canvas { width: 100%; aspect-ratio: 1; border-radius: 5px; }

/* threshold: two histograms and a line */
.plot { touch-action: pan-y; cursor: ew-resize; user-select: none; -webkit-user-select: none; }
.plot .normal { fill: var(--normal); }
.plot .anomaly { fill: url(#hatch); stroke: var(--anomaly); stroke-width: 1; }
.plot .faded { opacity: 0.35; }
.plot .beyond { fill: var(--anomaly-wash); }
input[type="range"] { width: 100%; margin: 0; height: 2.2rem; accent-color: var(--ink); cursor: ew-resize; display: block; }
.tiles { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.7rem; margin-top: 0.8rem; }
.tile { border-radius: 10px; background: var(--paper); border: 2px solid var(--line); padding: 0.7rem 0.9rem; }
.tile.normal { border-color: var(--normal); }
.tile.anomaly { border-color: var(--anomaly); }
.tile b { font-size: 1.9rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
.tile.normal b, .tile.normal h3 { color: var(--normal-text); }
.tile.anomaly b, .tile.anomaly h3 { color: var(--anomaly-text); }
.tile .strip { display: flex; gap: 4px; flex-wrap: wrap; margin-top: 0.3rem; height: 44px; overflow: hidden; }
.tile .strip canvas { width: 44px; height: 44px; border-radius: 5px; border: 1px solid var(--line); }
.presets { margin-top: 0.8rem; }

/* latent: a plane and its decoder */
.pair { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); align-items: start; }
.plane { position: relative; touch-action: none; cursor: grab; border-color: var(--control); border-radius: 8px; }
.plane canvas { width: 100%; aspect-ratio: 1; image-rendering: auto; border-radius: 8px; }
.plane canvas.grid { image-rendering: pixelated; }
.plane .point {
  position: absolute; width: 26px; height: 26px; margin: -13px 0 0 -13px; border-radius: 50%;
  border: 3px solid var(--paper); background: var(--focus); box-shadow: 0 0 0 2px var(--ink); pointer-events: none;
}
.readout { margin-top: 0.6rem; font-variant-numeric: tabular-nums; }

@media (max-height: 480px) { /* a phone on its side */
  .verdict { position: sticky; bottom: 0.5rem; z-index: 1; min-height: 0; padding: 0.3rem 0.9rem; }
}

@container (max-width: 560px) {
  .stage, .pair { grid-template-columns: minmax(0, 1fr); }
  .three { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .three .explain { display: none; }
  .tile b { font-size: 1.5rem; }
  .tile { padding: 0.6rem; }
  .tile .strip { height: 34px; }
  .tile .strip canvas { width: 34px; height: 34px; }
  .numbers { grid-column: 1 / -1; grid-auto-flow: column; }
  /* The verdict is one line above the slate, in sight while the finger draws; its reason is below. */
  section:has(.verdict) { display: flex; flex-direction: column; }
  .choose { order: -2; }
  .verdict { order: -1; position: sticky; top: calc(var(--header-height, 0px) + 0.5rem); z-index: 1; margin: 0 0 0.6rem; padding: 0.25rem 0.7rem; min-height: 3.2rem; }
  .verdict .sign { width: 1.7rem; height: 1.7rem; font-size: 1rem; }
  .verdict strong { font-size: 1rem; line-height: 1.2; }
  .verdict p { display: none; }
  .reason { display: block; min-height: 5.3rem; }
  button { padding: 0.4rem 0.55rem; font-size: 0.85rem; }
  .outcome { order: -1; display: grid; grid-template-columns: 8rem minmax(0, 1fr); column-gap: 0.9rem; align-items: center; }
  .outcome h3 { grid-column: 1 / -1; }
  .outcome .readout { margin: 0; }
  section { padding: 0.75rem; }
}
`;
