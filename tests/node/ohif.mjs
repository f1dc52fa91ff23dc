// Opens studies in OHIF in Chromium and says what came to be seen. Reads one JSON document from its standard input:
//   { "base": "http://127.0.0.1:1", "token": "…", "pictures": "folder", "cases": [{ "name": "ct", "study": "1.2.3", "see": "canvas" }] }
// and prints one JSON line a case: { name, levels, videos, documents, drawings, texts, pdfs, failures, outside, statuses }.
// "open" names the modality of a series without a picture that is opened by a double click first.
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

const { base, token, pictures, cases } = JSON.parse(await text(process.stdin));
const AGAIN_MS = 12_000;
const LIMIT_MS = 150_000;
// An image has more grey levels than a message on black.
const LEAST_LEVELS = 12;

const profile = mkdtempSync(join(tmpdir(), 'kura-chromium-'));
mkdirSync(pictures, { recursive: true });
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.KURA_TEST_CHROMIUM ?? '/usr/bin/chromium',
  viewport: { width: 1280, height: 800 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
    '--ignore-gpu-blocklist',
  ],
});
try {
  const page = await browser.newPage();
  const seen = { outside: [], failures: [], pdfs: [], statuses: {} };
  page.on('request', (request) => {
    const url = new URL(request.url());
    const isOurs = url.hostname === '127.0.0.1' || ['data:', 'blob:', 'chrome:', 'chrome-extension:', 'about:'].includes(url.protocol);
    if (!isOurs) seen.outside.push(request.url());
  });
  page.on('response', (response) => {
    const status = response.status();
    if ((response.headers()['content-type'] ?? '').startsWith('application/pdf')) {
      seen.pdfs.push({ url: response.url(), status, length: Number(response.headers()['content-length'] ?? 0) });
    }
    seen.statuses[status] = (seen.statuses[status] ?? 0) + 1;
    if (status >= 400) seen.failures.push(`${status} ${response.url()}`);
  });
  page.on('pageerror', (error) => seen.failures.push(error.message));

  // Without a session OHIF leads to the sign-in, which leads back.
  await page.goto(`${base}/`);
  await page.waitForURL(/\/sign-in/, { timeout: LIMIT_MS });
  await page.screenshot({ path: join(pictures, 'sign-in.png') });
  await page.fill('#token', token);
  await page.click('button[type=submit]');
  await page.waitForSelector('[data-cy="study-list-results"], [data-cy^="studyRow"], table', { timeout: LIMIT_MS });
  await page.waitForTimeout(1000);
  await page.screenshot({ path: join(pictures, 'list.png') });
  seen.failures = seen.failures.filter((failure) => !failure.startsWith('401'));
  console.log(JSON.stringify({ name: 'list', texts: await words(page), ...seen }));

  for (const one of cases) {
    Object.assign(seen, { outside: [], failures: [], pdfs: [], statuses: {} });
    await page.goto(`${base}/viewer?StudyInstanceUIDs=${one.study}`);
    const started = Date.now();
    let opened = started;
    if (one.open) await open(page, one.open);
    let sight = await look(page);
    while (!enough(one.see, sight, seen) && Date.now() - started < LIMIT_MS) {
      await page.waitForTimeout(500);
      await skipTour(page);
      // A series that is opened before the viewer is ready stays closed: once more, from the beginning.
      if (one.open && Date.now() - opened > AGAIN_MS) {
        opened = Date.now();
        await page.reload();
        await open(page, one.open);
      }
      sight = await look(page);
    }
    await page.waitForTimeout(500);
    await skipTour(page);
    await page.screenshot({ path: join(pictures, `${one.name}.png`) });
    console.log(JSON.stringify({ name: one.name, ...sight, ...seen }));
  }
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}

// The first study that a browser opens is covered by a tour of the buttons.
async function skipTour(page) {
  const skip = page.getByText('Skip all', { exact: false }).first();
  if (await skip.isVisible().catch(() => false)) await skip.click().catch(() => {});
}

// Opens a series that has no picture in the list of series.
async function open(page, modality) {
  const thumbnail = page.locator('[data-cy="study-browser-thumbnail-no-image"]', { hasText: modality }).first();
  await thumbnail.waitFor({ timeout: LIMIT_MS });
  await thumbnail.dblclick();
}

function enough(see, { levels, videos, documents, drawings, texts }, { pdfs }) {
  if (see === 'canvas') return levels > LEAST_LEVELS;
  if (see === 'drawing') return levels > LEAST_LEVELS && drawings > 0;
  if (see === 'video') return videos > 0;
  if (see === 'document') return documents > 0 && pdfs.length > 0;
  return texts.includes(see);
}

// The most grey levels of a canvas that could be an image, videos that have a picture, documents, and all that can be read.
async function look(page) {
  const sight = await page.evaluate(() => {
    let levels = 0;
    for (const canvas of document.querySelectorAll('canvas')) {
      if (canvas.width < 200) continue;
      const small = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
      const context = small.getContext('2d');
      context.drawImage(canvas, 0, 0, 64, 64);
      const pixels = context.getImageData(0, 0, 64, 64).data;
      const greys = new Set();
      for (let at = 0; at < pixels.length; at += 4) {
        greys.add(Math.round((pixels[at] + pixels[at + 1] + pixels[at + 2]) / 3));
      }
      levels = Math.max(levels, greys.size);
    }
    const videos = [...document.querySelectorAll('video')].filter((it) => it.readyState >= 2 && it.videoWidth > 0);
    const documents = document.querySelectorAll('object[type="application/pdf"], embed[type="application/pdf"], iframe[src]');
    // Lines of a measurement, long enough to be seen.
    const lines = [...document.querySelectorAll('.svg-layer line, .svg-layer path, .svg-layer polyline')];
    const drawings = lines.filter((it) => Math.hypot(it.getBoundingClientRect().width, it.getBoundingClientRect().height) > 40);
    return { levels, videos: videos.length, documents: documents.length, drawings: drawings.length };
  }).catch(() => ({ levels: 0, videos: 0, documents: 0, drawings: 0 }));
  return { ...sight, texts: await words(page) };
}

async function words(page) {
  return (await page.evaluate(() => document.body.innerText).catch(() => '')).replace(/\s+/g, ' ').slice(0, 4000);
}
