// Adding a provider of one's own, and removing it, with the keyboard's help.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { World } from './world.mjs'

/** @type {import('playwright-core').Browser} */ let browser
/** @type {Awaited<ReturnType<typeof open>>} */ let shown
beforeAll(async () => void (browser = await launch()))
afterEach(() => shown.close())
afterAll(() => browser.close())

test('one is added by its issuer, and leads to its own page', async () => {
  const world = new World('ordinary')
  shown = await open(browser, world, { view: 'connect' })
  const page = shown.page
  await page.getByRole('link', { name: 'Add a provider of your own' }).click()
  await page.getByLabel('Name').fill('Our Forge')
  await page.getByText('ask for it as “our-forge”').waitFor()
  expect(await page.getByRole('button', { name: 'Add' }).isDisabled()).toBe(true)
  await page.getByLabel('Issuer', { exact: true }).fill('https://id.forge.example')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1 }).filter({ hasText: 'Zendesk' }).waitFor() // as the world names what is added
  expect(world.asked.at(-1)?.body ?? world.asked.find((a) => a.route === 'POST providers')?.body).toMatchObject({ provider_key: 'our-forge', issuer: 'https://id.forge.example' })
})

test('a file is shown before it is kept, and what was shown is what is kept', async () => {
  const world = new World('ordinary')
  shown = await open(browser, world, { view: 'own' })
  const page = shown.page
  await page.getByLabel('From a file').check()
  await page.getByLabel('The file').fill('id: forge')
  await page.getByRole('button', { name: 'Look at it' }).click()
  await page.getByText('https://evil.example').first().waitFor()
  expect(world.registered).toHaveLength(0)
  await page.getByLabel('The file').fill('id: other') // what was shown does not count for this
  await expect.poll(() => page.getByRole('button', { name: 'Keep it' }).count()).toBe(0)
  await page.getByRole('button', { name: 'Look at it' }).click()
  await page.getByRole('button', { name: 'Keep it' }).click()
  await page.getByRole('heading', { level: 1, name: 'Forge' }).waitFor()
  expect(world.registered).toHaveLength(1)

  await page.getByRole('button', { name: 'Remove this provider' }).click()
  await page.getByRole('heading', { level: 1, name: 'Connect an account' }).waitFor()
  expect(world.registered).toHaveLength(0)
})

test('one that is in use goes with what uses it, and not without saying so', async () => {
  const world = new World('long')
  shown = await open(browser, world, { view: 'connect?provider=acme_cloud' })
  const page = shown.page
  await page.getByRole('button', { name: 'Remove this provider' }).click()
  await page.getByText('is in use').waitFor()
  expect(world.connections.some((c) => c.provider === 'acme_cloud')).toBe(true)
  await page.getByRole('button', { name: 'Disconnect and remove' }).click()
  await page.getByRole('heading', { level: 1, name: 'Connect an account' }).waitFor()
  expect(world.connections.some((c) => c.provider === 'acme_cloud')).toBe(false)
})
