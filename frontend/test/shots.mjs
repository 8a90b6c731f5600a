// Takes a picture of every scene: node test/shots.mjs [OUT] [SCENE…]

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { launch, open } from './browser.mjs'
import { scenes } from './scenes.mjs'

const [out = '../build/shots/window', ...only] = process.argv.slice(2)

/** @type {Record<string, import('./browser.mjs').OpenOptions>} */
const looks = {
  light: {},
  dark: { dark: true },
  small: { width: 640, height: 480 },
  'small-dark': { width: 640, height: 480, dark: true },
  forced: { forced: true },
  'large-text': { width: 640, height: 480, textSize: 2 },
}

await mkdir(out, { recursive: true })
const browser = await launch()
for (const [name, scene] of Object.entries(scenes)) {
  if (only.length > 0 && !only.includes(name)) continue
  for (const [look, options] of Object.entries(looks)) {
    const world = scene.world()
    const shown = await open(browser, world, { ...options, ...(scene.view ? { view: scene.view } : {}) })
    await scene.then?.(shown.page, world)
    await shown.page.screenshot({ path: join(out, `${name}.${look}.png`) })
    if (await shown.overflows()) console.log(`${name}.${look} hangs over the side`)
    for (const complaint of shown.complaints) console.log(`${name}.${look}: ${complaint}`)
    await shown.close()
  }
}
await browser.close()
