// How every state looks, beside how it is meant to look: light and dark, in
// three sizes. After a change that is meant: npm run references, and look at
// the pictures before they are committed.
//
// A picture depends on the fonts. Where the system's fonts have other measures
// than those the pictures were made with, there is nothing to compare.

import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { scenes } from './scenes.mjs'
import { clock } from './world.mjs'

const renew = process.env.REFERENCES === 'renew'
const place = (/** @type {string} */ name) => fileURLToPath(new URL(`references/${name}`, import.meta.url))

const sizes = { desktop: { width: 920, height: 640 }, small: { width: 640, height: 480 }, phone: { width: 390, height: 844 } }

/** Everything is seen at this moment, in UTC. */
const NOW = Date.parse('2026-03-02T14:02:05Z')

/** A channel may be off by so much: the pictures are stored with losses. */
const SHADE = 56
/** So many of a thousand pixels may be off by more. */
const PIXELS = 3

/** @type {import('playwright-core').Browser} */ let browser
/** @type {import('playwright-core').Page} */ let table
let measures = ''

beforeAll(async () => {
  browser = await launch()
  table = await browser.newPage()
  measures = await table.evaluate(() =>
    ['system-ui', 'monospace'].map((family) => {
      const pen = new OffscreenCanvas(1, 1).getContext('2d')
      if (!pen) return ''
      pen.font = `100px ${family}`
      return `${family} ${pen.measureText('Keyturn hamburgefonstiv 0123456789 ✓…—').width.toFixed(1)}`
    }).join('\n') + '\n',
  )
  if (renew) await mkdir(place('.'), { recursive: true }).then(() => writeFile(place('fonts.txt'), measures))
})
afterAll(() => browser.close())
beforeEach(() => void (clock.now = () => NOW))
afterEach(() => void (clock.now = Date.now))

/** A screenshot as it is stored. @param {Buffer} png */
const store = async (png) =>
  Buffer.from(
    await table.evaluate(async (url) => {
      const picture = await createImageBitmap(await (await fetch(url)).blob())
      const canvas = document.createElement('canvas')
      canvas.width = picture.width
      canvas.height = picture.height
      canvas.getContext('2d')?.drawImage(picture, 0, 0)
      return canvas.toDataURL('image/webp', 0.6).split(',')[1] ?? ''
    }, `data:image/png;base64,${png.toString('base64')}`),
    'base64',
  )

/** How many of a thousand pixels differ. @param {Buffer} reference @param {Buffer} png */
const difference = (reference, png) =>
  table.evaluate(
    async ([urls, shade]) => {
      const [a, b] = await Promise.all(
        urls.map(async (url) => {
          const picture = await createImageBitmap(await (await fetch(url)).blob())
          const pen = new OffscreenCanvas(picture.width, picture.height).getContext('2d')
          pen?.drawImage(picture, 0, 0)
          return pen?.getImageData(0, 0, picture.width, picture.height)
        }),
      )
      if (!a || !b || a.width !== b.width || a.height !== b.height) return 1000
      let off = 0
      for (let i = 0; i < a.data.length; i += 4) {
        if ([0, 1, 2].some((c) => Math.abs((a.data[i + c] ?? 0) - (b.data[i + c] ?? 0)) > shade)) off++
      }
      return (off * 4000) / a.data.length
    },
    /** @type {[string[], number]} */ ([[`data:image/webp;base64,${reference.toString('base64')}`, `data:image/png;base64,${png.toString('base64')}`], SHADE]),
  )

test.each(Object.entries(scenes))('%s', async (name, scene) => {
  if (!renew && (await readFile(place('fonts.txt'), 'utf8')) !== measures) {
    console.warn(`The fonts here are others, so pictures are not compared. Here:\n${measures}`)
    return
  }
  const world = scene.world()
  const shown = await open(browser, world, { now: NOW, ...(scene.view ? { view: scene.view } : {}) })
  const wrong = []
  try {
    await scene.then?.(shown.page, world)
    for (const look of /** @type {const} */ (['light', 'dark'])) {
      for (const [size, viewport] of Object.entries(sizes)) {
        await shown.page.emulateMedia({ colorScheme: look })
        await shown.page.setViewportSize(viewport)
        const png = await shown.page.screenshot({ animations: 'disabled' })
        const file = place(`${name}/${look}-${size}.webp`)
        if (renew) {
          await mkdir(dirname(file), { recursive: true })
          await writeFile(file, await store(png))
        } else if (!existsSync(file)) {
          wrong.push(`${name}/${look}-${size} has no reference: npm run references`)
        } else {
          const off = await difference(await readFile(file), png)
          if (off > PIXELS) {
            const seen = fileURLToPath(new URL(`../../build/shots/${name}.${look}-${size}.png`, import.meta.url))
            await mkdir(dirname(seen), { recursive: true })
            await writeFile(seen, png)
            wrong.push(`${name}/${look}-${size}: ${off.toFixed(1)} of a thousand pixels are others; see build/shots`)
          }
        }
      }
    }
  } finally {
    await shown.close()
  }
  expect(wrong).toEqual([])
})
