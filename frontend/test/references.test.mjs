// How every state of the made-up worlds looks, beside its reference. After a
// change that is meant: npm run references, and look at the pictures before
// they are committed.

import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { references } from './pictures.mjs'
import { scenes } from './scenes.mjs'
import { clock } from './world.mjs'

/** Everything is seen at this moment, in UTC. */
const NOW = Date.parse('2026-03-02T14:02:05Z')

/** @type {import('playwright-core').Browser} */ let browser
/** @type {Awaited<ReturnType<typeof references>>} */ let looks

beforeAll(async () => {
  browser = await launch()
  looks = await references(browser, fileURLToPath(new URL('references', import.meta.url)))
})
afterAll(() => browser.close())
beforeEach(() => void (clock.now = () => NOW))
afterEach(() => void (clock.now = Date.now))

test.each(Object.entries(scenes))('%s', async (name, scene) => {
  const world = scene.world()
  const shown = await open(browser, world, { now: NOW, ...(scene.view ? { view: scene.view } : {}) })
  try {
    await scene.then?.(shown.page, world)
    expect(await looks.wrong(shown.page, name)).toEqual([])
  } finally {
    await shown.close()
  }
})
