// A page as it looks, beside how it is meant to look: light and dark, in three
// sizes. A picture depends on the fonts: where the system's have other measures
// than those the references were made with, there is nothing to compare.

import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** @typedef {import('playwright-core').Page} Page */

const sizes = { desktop: { width: 920, height: 640 }, small: { width: 640, height: 480 }, phone: { width: 390, height: 844 } }

/** A channel may be off by so much: the references are stored with losses. */
const SHADE = 56
/** So many of a thousand pixels may be off by more. */
const PIXELS = 3
/** So often it is looked, half a second apart: what is seen may still be on its way. */
const LOOKS = 4

const shots = fileURLToPath(new URL('../../build/shots/', import.meta.url))

/**
 * The references in a folder. With REFERENCES=renew they are made instead of
 * compared.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} folder
 */
export async function references(browser, folder) {
  const renew = process.env.REFERENCES === 'renew'
  const table = await browser.newPage() // where pictures are laid beside each other
  const fonts = await table.evaluate(measure)
  if (renew) {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'fonts.txt'), fonts)
  }
  const comparable = renew || (await readFile(join(folder, 'fonts.txt'), 'utf8')) === fonts
  if (!comparable) console.warn(`The fonts here are others, so pictures are not compared. Here:\n${fonts}`)

  /** What is wrong with one picture, or nothing. @param {string} name @param {Buffer} png */
  const judge = async (name, png) => {
    const file = join(folder, `${name}.webp`)
    if (renew) {
      await mkdir(dirname(file), { recursive: true })
      const url = await table.evaluate(compress, dataURL('png', png))
      return void (await writeFile(file, Buffer.from(url.split(',')[1] ?? '', 'base64')))
    }
    if (!existsSync(file)) return `${name} has no reference`
    const off = await table.evaluate(difference, /** @type {const} */ ([dataURL('webp', await readFile(file)), dataURL('png', png), SHADE]))
    if (off <= PIXELS) return
    const seen = join(shots, `${name.replace('/', '.')}.png`)
    await mkdir(dirname(seen), { recursive: true })
    await writeFile(seen, png)
    return `${name}: ${off.toFixed(1)} of a thousand pixels are others; see build/shots`
  }

  return {
    /**
     * What is wrong with how a page looks, in every dress and size.
     *
     * @param {Page} page
     * @param {string} name
     * @param {() => Promise<void>} [settle] before each picture
     */
    async wrong(page, name, settle) {
      /** @type {string[]} */
      const wrong = []
      if (!comparable) return wrong
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        for (const [size, viewport] of Object.entries(sizes)) {
          await page.emulateMedia({ colorScheme })
          await page.setViewportSize(viewport)
          let found
          for (let look = 0; look < LOOKS; look++) {
            if (look > 0) await page.waitForTimeout(500)
            await settle?.()
            found = await judge(`${name}/${colorScheme}-${size}`, await page.screenshot({ animations: 'disabled' }))
            if (!found) break
          }
          if (found) wrong.push(found)
        }
      }
      return wrong
    },
  }
}

/** @param {string} type @param {Buffer} picture */
const dataURL = (type, picture) => `data:image/${type};base64,${picture.toString('base64')}`

// What follows runs in the page that is the table.

function measure() {
  const widths = ['system-ui', 'monospace'].map((family) => {
    const pen = new OffscreenCanvas(1, 1).getContext('2d')
    if (!pen) return ''
    pen.font = `100px ${family}`
    return `${family} ${pen.measureText('Keyturn hamburgefonstiv 0123456789 ✓…—').width.toFixed(1)}`
  })
  return widths.join('\n') + '\n'
}

/** @param {string} url */
async function compress(url) {
  const picture = await createImageBitmap(await (await fetch(url)).blob())
  const canvas = document.createElement('canvas')
  canvas.width = picture.width
  canvas.height = picture.height
  canvas.getContext('2d')?.drawImage(picture, 0, 0)
  return canvas.toDataURL('image/webp', 0.6)
}

/** How many of a thousand pixels differ. @param {readonly [string, string, number]} _ */
async function difference([one, other, shade]) {
  const [a, b] = await Promise.all(
    [one, other].map(async (url) => {
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
}
