// Every state of the window: nothing is wrong with it for axe, nothing is cut
// off, and the page keeps to its content security policy and its own origin.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { scenes } from './scenes.mjs'

/** @type {import('playwright-core').Browser} */ let browser
beforeAll(async () => void (browser = await launch()))
afterAll(() => browser.close())

/** @type {[string, import('./browser.mjs').OpenOptions][]} */
const looks = [
  ['light', {}],
  ['dark, small, with text at 200 %', { dark: true, width: 640, height: 480, textSize: 2 }],
]

describe.each(looks)('%s', (_, look) => {
  test.each(Object.entries(scenes))('%s', async (_, scene) => {
    const world = scene.world()
    const shown = await open(browser, world, { ...look, ...(scene.view ? { view: scene.view } : {}) })
    try {
      await scene.then?.(shown.page, world)
      expect(await shown.violations()).toEqual([])
      expect(await shown.overflows(), 'something hangs over the side').toBe(false)
      expect(shown.complaints).toEqual([])
    } finally {
      await shown.close()
    }
  })
})
