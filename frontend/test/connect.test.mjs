// What a person does, with the keyboard alone, and what the API was asked for.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { launch, open } from './browser.mjs'
import { World } from './world.mjs'

/** @type {import('playwright-core').Browser} */ let browser
/** @type {Awaited<ReturnType<typeof open>>} */ let shown
/** @type {World} */ let world
beforeAll(async () => void (browser = await launch()))
afterAll(() => browser.close())
afterEach(async () => {
  expect(shown.complaints).toEqual([])
  await shown.close()
})

/** @param {string} name @param {string} [view] @param {Partial<World>} [more] */
async function at(name, view, more) {
  world = new World(name, more)
  shown = await open(browser, world, view ? { view } : {})
  return shown.page
}

/** @param {string | RegExp} name */
const heading = (name) => shown.page.getByRole('heading', { level: 1, name }).waitFor()
const focused = () => shown.page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')

/** Presses Tab until the control with this text has the focus. @param {string} text */
async function tabTo(text) {
  for (let i = 0; i < 40; i++) {
    await shown.page.keyboard.press('Tab')
    if ((await focused()).startsWith(text)) return
  }
  throw new Error(`Tab never reaches ${text}; it ended at ${await focused()}`)
}

/** @param {string} route */
const asked = (route) => world.asked.filter((a) => a.route === route).map((a) => a.body)

const START = 'POST /v1/internal/oauth/connect/start'

describe('with the keyboard alone', () => {
  test('a newcomer connects the demo provider and sees the account and its scopes', async () => {
    const page = await at('empty')
    await heading('Connections')
    await tabTo('Try it with the demo provider')
    await page.keyboard.press('Enter')
    await heading('Connecting Demo')
    expect(asked(START)).toEqual([{ service: 'demo' }])

    const step = page.locator('[aria-current=step]')
    for (const [name, words] of /** @type {const} */ ([
      ['waiting_for_browser', 'Waiting for you to approve at Demo'],
      ['exchanging', 'Exchanging'],
      ['identifying', 'whose account'],
      ['saving', 'Saving'],
    ])) {
      world.last.step = name
      await step.filter({ hasText: words }).waitFor()
    }
    world.complete({ account_info: 'ada@demo.example', granted_scopes: ['profile', 'email'], missing_scopes: ['notes.read'] })
    await heading('Demo is connected')
    expect(await focused(), 'the focus is where the news is').toBe('Demo is connected')
    await page.getByText('ada@demo.example').waitFor()
    await page.getByText('See the name of your demo account.').waitFor()
    await page.getByText('Not granted').waitFor()

    await tabTo('See connections')
    await page.keyboard.press('Enter')
    await heading('Connections')
    await page.getByRole('group', { name: 'ada@demo.example Demo' }).waitFor()
  })

  test('a provider is found by typing, chosen with an arrow and opened with Enter', async () => {
    const page = await at('ordinary', 'connect')
    await page.getByRole('option', { name: /GitLab/ }).waitFor()
    await page.keyboard.type('git') // the field has the focus already
    await expect.poll(() => page.getByRole('option').count()).toBe(2)
    await page.keyboard.press('ArrowDown')
    expect(await page.getByRole('option', { selected: true }).textContent()).toContain('GitLab')
    expect(await page.getByRole('combobox').getAttribute('aria-activedescendant')).toBe('provider-gitlab')
    await page.keyboard.press('Enter')
    await heading('Connect GitLab')
  })

  test('an MCP server is found by its name, and connected by its address', async () => {
    const page = await at('ordinary', 'connect')
    await page.getByRole('option', { name: /GitLab/ }).waitFor()
    await page.keyboard.type('notes')
    await page.getByRole('option', { name: /Notes.*MCP server/ }).waitFor()
    await page.keyboard.press('Enter')
    await heading('Connecting Notes')
    expect(asked(START)).toEqual([{ service: 'https://mcp.notes.example/mcp' }])
  })

  test('an address is connected as it is typed, and one where nobody is says so', async () => {
    const page = await at('ordinary', 'connect')
    await page.getByRole('option', { name: /GitLab/ }).waitFor()
    await page.keyboard.type('https://nobody.example/mcp')
    await page.getByRole('option', { name: 'Connect the server at https://nobody.example/mcp' }).waitFor()
    await page.keyboard.press('Enter')
    await page.getByText('nobody.example could not be reached.').waitFor()
    await page.getByRole('combobox').fill('https://mcp.notes.example/mcp')
    await page.keyboard.press('Enter')
    await heading('Connecting Notes')
  })

  test('an entry that needs to know a subdomain asks for it first', async () => {
    const page = await at('ordinary', 'connect?provider=zendesk')
    await heading('Connect Zendesk')
    await page.getByLabel('Your Zendesk subdomain').fill('acme.zendesk.com/')
    await page.keyboard.press('Enter')
    await page.getByText('letters, digits and hyphens').waitFor()
    await page.getByLabel('Your Zendesk subdomain').fill('acme')
    await page.keyboard.press('Enter')
    await heading('Connect Zendesk (acme)')
    expect(asked('POST /v1/providers').at(-1)).toEqual({ provider_key: 'zendesk-acme', extends: 'zendesk', vars: { subdomain: 'acme' } })
  })

  test('an OAuth app is entered once, and the secret does not stay on the page', async () => {
    const page = await at('ordinary', 'connect?provider=github')
    await heading('Connect GitHub')
    await page.getByLabel('Client ID').focus()
    await page.keyboard.type('Iv1.abc')
    await page.keyboard.press('Enter')
    await page.getByText('GitHub needs a client secret too.').waitFor()
    expect(asked('POST /v1/apps'), 'nothing was sent that is known to be wrong').toEqual([])
    expect(await page.evaluate(() => document.activeElement?.getAttribute('name'))).toBe('secret')
    await page.keyboard.type('s3cret-canary')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Connect GitHub' }).waitFor()
    expect(asked('POST /v1/apps')).toEqual([{ provider: 'github', client_id: 'Iv1.abc', client_secret: 's3cret-canary' }])
    const left = await page.evaluate(() => document.documentElement.outerHTML + [...document.querySelectorAll('input')].map((i) => i.value).join())
    expect(left).not.toContain('s3cret-canary')
  })

  test('disconnecting asks first, Escape keeps it, and the focus comes back', async () => {
    const page = await at('ordinary')
    const row = page.getByRole('group', { name: /octocat/ })
    const button = row.getByRole('button', { name: 'Disconnect' })
    await button.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Disconnect GitHub, octocat?' })
    await dialog.getByText('asks GitHub to revoke this grant').waitFor()
    await dialog.getByText('Read and write your repositories, private ones too.').waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(await button.evaluate((b) => b === document.activeElement)).toBe(true)
    expect(world.asked).toEqual([])

    await page.keyboard.press('Enter')
    await tabTo('Keep it')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('GitHub confirmed that the grant of octocat is gone.').waitFor()
    expect(asked('POST /v1/connections/con_0000000000000001/disconnect')).toHaveLength(1)
    expect(await row.count()).toBe(0)
    expect(await focused()).toBe('Connections')
  })
})

describe('an attempt', () => {
  /** @param {Partial<World>} [more] */
  async function started(more) {
    const page = await at('ordinary', 'connect?provider=demo', more)
    await page.getByRole('button', { name: 'Connect Demo' }).click()
    await heading('Connecting Demo')
    return page
  }

  /** Takes a way for a browser elsewhere. @param {string} way */
  async function elsewhere(way) {
    const page = await at('ordinary', 'connect?provider=demo')
    await page.getByText('Is your browser on another computer?').click()
    await page.getByRole('button', { name: way }).click()
    await heading('Connecting Demo')
    return page
  }

  test('by device code shows the code, where to enter it and who asked, and opens nothing', async () => {
    const page = await elsewhere('Connect by a code')
    expect(asked(START)).toEqual([{ service: 'demo', callback_transport: 'device' }])
    await page.getByText('WDJB-MJHT', { exact: true }).waitFor()
    await page.getByText('https://demo.example/device', { exact: true }).waitFor()
    await page.getByText('You started this in the window.').waitFor()
    await page.getByText('Whoever sends you a code wants your account.').waitFor()
    await page.getByRole('img', { name: 'QR code that leads to https://demo.example/device' }).waitFor()
    expect(await page.getByText('Your browser has opened').count()).toBe(0)
    expect(await page.locator('main a').count(), 'nothing there opens the page with the code filled in').toBe(0)
    await page.getByRole('button', { name: 'Copy code' }).click()
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('WDJB-MJHT')
    world.complete({ account_info: 'ada@demo.example' })
    await heading('Demo is connected')
    expect(await page.getByText('WDJB-MJHT').count(), 'a code that was used is gone').toBe(0)
  })

  test('by paste says what is wrong with an address, keeps it, and goes on with the right one', async () => {
    const page = await elsewhere('Connect by pasting')
    const field = page.getByLabel('Address of the page')
    await field.fill('nonsense')
    await page.keyboard.press('Enter')
    await page.getByText('There is no code in that.').waitFor()
    expect(await field.inputValue()).toBe('nonsense')
    await field.fill('  http://127.0.0.1:27419/oauth/callback/demo?code=c&state=s ')
    await page.keyboard.press('Enter')
    await heading('Demo is connected')
    expect(asked('POST /v1/internal/oauth/connect/st_0001/paste')).toEqual([
      { text: 'nonsense' },
      { text: 'http://127.0.0.1:27419/oauth/callback/demo?code=c&state=s' },
    ])
  })

  test('by paste says when nobody answers', async () => {
    const page = await elsewhere('Connect by pasting')
    world.running = false
    await page.getByLabel('Address of the page').fill('code=c&state=s')
    await page.keyboard.press('Enter')
    await page.locator('#pasted-failed', { hasText: 'Could not reach Keyturn.' }).waitFor()
    world.running = true
  })

  test('offers its link, when the browser did not open', async () => {
    const page = await started({ browser: false })
    await page.getByText('Keyturn could not open your browser.').waitFor()
    await page.getByRole('button', { name: 'Copy link' }).click()
    await page.getByRole('button', { name: 'Link copied' }).waitFor()
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(world.last.url)
    expect(await page.content(), 'the link holds the OAuth state and is not shown').not.toContain('state=secret')
  })

  test('can be started again: the old one is superseded, the new one shown', async () => {
    const page = await started()
    await page.getByRole('button', { name: 'Start again' }).click()
    await page.waitForURL(/st_0002/)
    await heading('Connecting Demo')
    expect(world.attempts.map((a) => a.code ?? a.status)).toEqual(['superseded', 'pending'])
    await page.getByRole('button', { name: 'Copy link' }).waitFor()
  })

  test('can be cancelled', async () => {
    const page = await started()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await heading('Demo was not connected')
    await page.getByText('You cancelled this.').waitFor()
    expect(asked('POST /v1/internal/oauth/connect/st_0001/cancel')).toHaveLength(1)
  })

  test('that fails says why and what to do', async () => {
    const page = await started()
    world.fail('exchange_failed', 'Demo answered invalid_client.')
    await heading('Demo was not connected')
    await page.getByText('Demo refused to hand out a token.').waitFor()
    await page.getByText('Check the client ID and secret').waitFor()
    await page.getByText('Details').click()
    await page.getByText('Demo answered invalid_client.').waitFor()
  })

  test('keeps its outcome on the page after Keyturn has forgotten it', async () => {
    const page = await started()
    world.complete({ account_info: 'grace@demo.example' })
    await heading('Demo is connected')
    world.attempts = []
    await page.evaluate(() => window.dispatchEvent(new Event('focus')))
    await page.waitForTimeout(200)
    await page.getByText('grace@demo.example').waitFor()
  })

  test('that was started in the tray appears by itself, with the way to it', async () => {
    const page = await at('ordinary')
    await page.getByText('octocat', { exact: true }).waitFor()
    world.start({ service: 'demo' })
    await page.getByRole('button', { name: 'Show Demo' }).click()
    await heading('Connecting Demo')
  })

  test('is asked for exactly the scopes that were chosen', async () => {
    const page = await at('ordinary', 'connect?provider=demo')
    await page.getByText('Read the notes of your demo account.').click()
    await page.getByText('Ask for more').click()
    await page.getByText('Confirm who you are').click()
    await page.getByRole('button', { name: 'Connect Demo' }).click()
    await heading('Connecting Demo')
    expect(asked(START).map((b) => [...b.requested_scopes].sort())).toEqual([['email', 'openid', 'profile']])
  })
})

describe('a connection', () => {
  test('is reconnected as it was: same app, account and scopes', async () => {
    const page = await at('ordinary', '', { apps: [{ id: 'app_1', provider: 'google', client_id: 'client-google', has_client_secret: true, created_at: '', updated_at: '' }] })
    await page.getByRole('group', { name: /ada@example.com/ }).getByRole('button', { name: 'Reconnect' }).click()
    await heading('Connecting Google')
    expect(asked(START)).toEqual([
      { service: 'google', client_id: 'client-google', account_hint: 'ada@example.com', requested_scopes: ['read', 'profile', 'calendar.readonly'] },
    ])
  })

  test.each([
    [200, 'GitHub accepts the token.'],
    [401, 'GitHub does not accept the token (HTTP 401).'],
    [0, 'GitHub did not answer.'],
  ])('tested with HTTP %d says so', async (status, words) => {
    const page = await at('ordinary', '', { ping: status })
    const row = page.getByRole('group', { name: /octocat/ })
    await row.getByRole('button', { name: 'Test' }).click()
    await row.getByRole('status').filter({ hasText: words }).waitFor()
  })

  test('UI-04 shows a hostile name as text', async () => {
    const page = await at('long')
    await page.getByText('<img src=x onerror="document.title=1">', { exact: true }).waitFor()
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.title()).toBe('Keyturn')
  })

  test('among a hundred is found by its filter', async () => {
    const page = await at('hundred')
    await page.getByText('100 accounts, 6 need you.').waitFor()
    await page.getByLabel('Filter connections').fill('github person37')
    await expect.poll(() => page.getByRole('list', { name: 'Connections' }).getByRole('listitem').count()).toBe(1)
    await page.getByText('person37@example.com', { exact: true }).waitFor()
  })
})

test('times live', async () => {
  const page = await at('ordinary')
  const used = page.getByRole('group', { name: /octocat/ }).getByText(/last used/)
  const before = await used.textContent()
  await expect.poll(() => used.textContent(), { timeout: 4000 }).not.toBe(before)
})

test('when nobody answers it says so, keeps what it knows, and heals by itself', async () => {
  const page = await at('ordinary')
  await page.getByText('octocat', { exact: true }).waitFor()
  world.running = false
  await page.getByText('Could not reach Keyturn. Is it running?').waitFor()
  await page.getByText('octocat', { exact: true }).waitFor()
  world.running = true
  await page.getByText('Could not reach Keyturn.').waitFor({ state: 'detached' })
})

test('locked secrets are not an empty list', async () => {
  const page = await at('locked')
  await page.getByText('The keyring is locked. Unlock it, and Keyturn goes on by itself.').waitFor()
  expect(await page.getByText('Nothing connected yet').count()).toBe(0)
})

describe('the first run', () => {
  test('an MCP server is connected by its address, and one that is none is told so', async () => {
    const page = await at('empty')
    await page.getByLabel('Or the address of an MCP server').fill('not an address')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('https://').waitFor()
    expect(asked(START)).toEqual([])
    await page.getByLabel('Or the address of an MCP server').fill('https://mcp.notes.example/mcp')
    await page.keyboard.press('Enter')
    await expect.poll(() => asked(START)).toEqual([{ service: 'https://mcp.notes.example/mcp' }])
  })

  test('starting at login is offered where it can be arranged, and only there', async () => {
    const page = await at('empty')
    await page.getByText('sealed with').first().waitFor()
    await page.getByLabel('Start Keyturn when I log in').check()
    await expect.poll(() => world.settings.autostart).toBe(true)
    await shown.close()
    const without = new World('empty')
    Object.assign(without, { settings: { callback_port: 27419, notifications: true } })
    shown = await open(browser, without)
    await shown.page.getByText('Nothing connected yet').waitFor()
    expect(await shown.page.getByLabel('Start Keyturn when I log in').count()).toBe(0)
  })
})

test('more scopes are asked for beside those that an account has', async () => {
  const page = await at('ordinary')
  await page.getByRole('group', { name: /octocat/ }).locator('summary').click()
  await page.getByText('Read and write your repositories').first().waitFor()
  await page.getByRole('group', { name: /octocat/ }).getByRole('button', { name: 'More scopes' }).click()
  await heading('More scopes for octocat at GitHub')
  await page.goBack()
  await heading('Connections')
})
