// In the desktop window: the runtime rings, leads to views, copies and opens.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { World } from './world.mjs'

/** @type {import('playwright-core').Browser} */ let browser
beforeAll(async () => void (browser = await launch()))
afterAll(() => browser.close())

/** The parts of the runtime that the page uses; what it is told is kept. */
function runtime() {
  /** @type {Record<string, (...args: unknown[]) => void>} */ const heard = {}
  Object.assign(window, {
    did: /** @type {string[]} */ ([]),
    emit: (/** @type {string} */ name, /** @type {unknown[]} */ ...args) => heard[name]?.(...args),
    runtime: {
      EventsOn: (/** @type {string} */ name, /** @type {() => void} */ call) => ((heard[name] = call), () => delete heard[name]),
      ClipboardSetText: async (/** @type {string} */ text) => (/** @type {any} */ (window).did.push(`copy ${text}`), true),
    },
  })
}

/** @param {World} world */
async function inWindow(world) {
  const shown = await open(browser, world, { init: runtime })
  const call = (/** @type {unknown[]} */ ...args) => shown.page.evaluate((args) => /** @type {any} */ (window).emit(...args), args)
  const did = () => shown.page.evaluate(() => /** @type {any} */ (window).did)
  return { ...shown, call, did }
}

test('the bell, and only the bell, makes the window read again', async () => {
  const world = new World('ordinary')
  const { page, call, close } = await inWindow(world)
  await page.getByText('octocat', { exact: true }).waitFor()
  world.connections = world.connections.filter((c) => c.account !== 'octocat')
  await page.waitForTimeout(2500) // a plain browser would have asked by now
  expect(await page.getByText('octocat', { exact: true }).count()).toBe(1)
  await call('changed')
  await page.getByText('octocat', { exact: true }).waitFor({ state: 'detached' })
  await close()
})

test('the tray leads to a view', async () => {
  const { page, call, close } = await inWindow(new World('ordinary'))
  await call('show', 'connect?provider=demo')
  await page.getByRole('heading', { name: 'Connect Demo' }).waitFor()
  await call('show', 'connections')
  await page.getByRole('heading', { name: 'Connections' }).waitFor()
  await call('show', 'a view of a newer Keyturn')
  await page.getByRole('heading', { name: 'Connections' }).waitFor()
  await close()
})

test('copying goes through the runtime, opening through the app', async () => {
  const world = new World('ordinary')
  const { page, call, did, close } = await inWindow(world)
  await call('show', 'connect?provider=github')
  await page.getByRole('button', { name: 'Copy Redirect URI' }).click()
  await page.getByRole('link', { name: /Open the page at GitHub/ }).click()
  await expect.poll(() => world.asked.map((a) => a.route)).toContain('POST /v1/providers/github/console') // OB-17
  expect(await did()).toEqual(['copy http://127.0.0.1:27419/oauth/callback/github'])
  expect(page.context().pages()).toHaveLength(1)
  await close()
})

test('a page is opened again in the browser that was chosen', async () => {
  const world = new World('ordinary')
  const { page, call, close } = await inWindow(world)
  await call('show', 'connect?provider=demo')
  await page.getByRole('button', { name: 'Connect Demo' }).click()
  await page.getByLabel('Browser').selectOption('Firefox ESR – work')
  await expect.poll(() => world.settings.browser).toBe('firefox-esr/work')
  await page.getByRole('link', { name: /Open the page of Demo/ }).click()
  await expect.poll(() => world.asked.map((a) => a.route)).toContain(`POST /v1/attempts/${world.last.state}/open`)
  expect(page.context().pages()).toHaveLength(1)
  await close()
})
