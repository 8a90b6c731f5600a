// The activity: read, filtered and followed, with the keyboard alone.

import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { World } from './world.mjs'

/** @type {import('playwright-core').Browser} */ let browser
/** @type {Awaited<ReturnType<typeof open>>} */ let shown
beforeAll(async () => void (browser = await launch()))
afterAll(() => browser.close())
afterEach(async () => {
  expect(shown.complaints).toEqual([])
  await shown.close()
})

/** @param {World} world @param {import('./browser.mjs').OpenOptions} [more] */
async function at(world, more = {}) {
  shown = await open(browser, world, { view: 'activity', ...more })
  await shown.page.getByRole('heading', { level: 1, name: 'Activity' }).waitFor()
  return shown.page
}

/** A desktop window whose doorbell is rung by hand. */
function desktop() {
  /** @type {any} */ const w = window
  /** @type {[string, () => void][]} */ let listeners = []
  w.heard = () => listeners.map(([name]) => name).sort()
  w.ring = (/** @type {string} */ bell) => listeners.forEach(([name, heard]) => name === bell && heard())
  w.runtime = {
    EventsOn: (/** @type {string} */ name, /** @type {() => void} */ heard) => {
      const listener = /** @type {[string, () => void]} */ ([name, heard])
      listeners = [...listeners, listener]
      return () => (listeners = listeners.filter((l) => l !== listener))
    },
  }
}

test('days have names, and each event is one sentence with its reason', async () => {
  const page = await at(new World('busy'))
  await page.getByText('deploy.sh (bash) via keyturn read the token of ada@example.com at Google 340 times.').waitFor()
  expect(await page.getByRole('heading', { level: 2 }).first().textContent()).toBe('Today')
  await page.getByText('notify asked for the token of Slack and got none.').waitFor()
  await page.getByText('Slack no longer accepts this grant.').waitFor()
  await page.getByText('Keyturn reports “a_kind_of_later” about ada@example.com at Google.').waitFor()
  expect(await page.getByRole('listitem').count()).toBe(9)
})

test('the keyboard leads there and chooses whose activity is shown', async () => {
  const world = new World('busy')
  shown = await open(browser, world)
  const page = shown.page
  await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor()
  await page.getByRole('link', { name: 'Activity' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'Activity' }).waitFor()
  expect(await page.locator('nav [aria-current=page]').textContent()).toBe('Activity')
  await page.keyboard.press('Tab') // past the settings
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('activity-of')
  await page.keyboard.type('Ada in')
  await expect.poll(() => page.getByRole('listitem').count()).toBe(1)
  await page.getByText('ada in Analytical Engines at Slack needs to be reconnected by you.').waitFor()
  expect(page.url()).toContain('#activity?connection=con_0000000000000004')
  await page.goBack()
  await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor()
})

test('a connection that is gone can still be chosen', async () => {
  const page = await at(new World('busy'))
  await page.getByLabel('Show the activity of').selectOption('con_gone')
  await expect.poll(() => page.getByRole('listitem').count()).toBe(1)
  await page.getByLabel('Show the activity of').selectOption('')
  await expect.poll(() => page.getByRole('listitem').count()).toBe(9)
})

test('a kind of activity is chosen, kept in the address, and exported whole', async () => {
  const page = await at(new World('many'))
  await page.getByLabel('What kind of activity').selectOption('What programs read')
  expect(page.url()).toContain('#activity?about=programs')
  await expect.poll(() => page.getByRole('listitem').count()).toBe(200)
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export' }).click()])
  expect(file.suggestedFilename()).toMatch(/^keyturn-activity-\d{4}-\d{2}-\d{2}\.csv$/)
  const lines = readFileSync(await file.path(), 'utf8').trimEnd().split('\r\n')
  expect(lines).toHaveLength(501)
  expect(lines[1]).toMatch(/,token_read,.*program 500 read the token/)
  await page.getByText('500 lines were saved').waitFor()
  await page.getByLabel('What kind of activity').selectOption('What went wrong')
  await page.getByText('Nothing of this kind').waitFor()
  expect(await page.getByText('were saved').count()).toBe(0)
})

test('what happens appears when the bell rings, and not before', async () => {
  const world = new World('busy')
  const page = await at(world, { init: desktop })
  await expect.poll(() => page.getByRole('listitem').count()).toBe(9)
  const first = world.events[0]
  if (!first) throw new Error('nothing happened')
  world.events = [{ ...first, id: 10, program: 'newcomer', count: 1 }, { ...first, count: 341 }, ...world.events.slice(1)]
  await page.waitForTimeout(200)
  expect(await page.getByText('newcomer').count()).toBe(0)
  await page.evaluate(() => /** @type {any} */ (window).ring('activity'))
  await page.getByText('newcomer read the token of ada@example.com at Google.').waitFor()
  await page.getByText('341 times').waitFor()
  await page.getByRole('link', { name: 'Connections' }).click()
  await page.getByRole('heading', { level: 1, name: 'Connections' }).waitFor()
  expect(await page.evaluate(() => /** @type {any} */ (window).heard()), 'nobody listens once it is left').toEqual(['changed', 'show'])
})

test('older activity is shown on demand', async () => {
  const page = await at(new World('many'))
  await expect.poll(() => page.getByRole('listitem').count()).toBe(200)
  await page.getByRole('button', { name: 'Show older activity' }).click()
  await expect.poll(() => page.getByRole('listitem').count()).toBe(400)
  await page.getByRole('button', { name: 'Show older activity' }).click()
  await expect.poll(() => page.getByRole('listitem').count()).toBe(500)
  expect(await page.getByRole('button', { name: 'Show older activity' }).count()).toBe(0)
})

test('words of strangers stay words', async () => {
  const world = new World('busy')
  world.events = world.events.map((e) => ({ ...e, program: '<img src=x onerror="document.title=1">', account: '</p><script>document.title=2</script>' }))
  const page = await at(world)
  await page.getByText('<img src=x').first().waitFor()
  expect(await page.title()).not.toMatch(/[12]/)
})

test('a Keyturn that does not answer is said once, and what was read stays', async () => {
  const world = new World('busy')
  const page = await at(world)
  await expect.poll(() => page.getByRole('listitem').count()).toBe(9)
  world.running = false
  await page.getByRole('alert').waitFor()
  expect(await page.getByRole('alert').count()).toBe(1)
  expect(await page.getByRole('listitem').count()).toBe(9)
  world.running = true
  await expect.poll(() => page.getByRole('alert').count(), { timeout: 5000 }).toBe(0)
})
