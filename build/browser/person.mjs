// A person in a real browser: opens an authorization URL, signs in where asked,
// approves (or clicks what --click says), and stays until the last page is there.
//
//   node person.mjs URL [--user NAME] [--pass WORD] [--click REGEX] [--shot FILE.png] [--dark]
//
// Prints one JSON object: {"url", "title", "text"} of the last page, and the
// "history" of the tab. Exits 1
// when no page came home within half a minute.
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const require = createRequire(new URL('../../frontend/package.json', import.meta.url))
const { chromium } = require('playwright-core')

const { values: option, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    user: { type: 'string', default: 'ada' },
    pass: { type: 'string', default: 'secret' },
    click: { type: 'string' },
    shot: { type: 'string' },
    dark: { type: 'boolean', default: false },
  },
})
const start = positionals[0]
// A request that was pushed names no redirect URI: its last page is one of ours.
const redirect = new URL(start).searchParams.get('redirect_uri')
const home = redirect && new URL(redirect).origin
const wanted = new RegExp(option.click ?? 'allow|authorize|approve|accept|sign.?in|log.?in|continue|next|submit', 'i')
// What is not pressed unless --click asks for it.
const never = option.click ? /^$/ : /^(deny|cancel|reject|back|abort)|forgot|register|sign.?up|another/i

const profile = mkdtempSync(join(tmpdir(), 'person-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  colorScheme: option.dark ? 'dark' : 'light',
  viewport: { width: 900, height: 720 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})

let code = 1
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(3000)
  await page.goto(start, { waitUntil: 'domcontentloaded' })
  const end = Date.now() + 30_000
  while (Date.now() < end) {
    // The last page is Keyturn's own, or that of a gateway which passed the response on.
    const at = new URL(page.url())
    if (at.pathname.startsWith('/oauth/done/') || (home && at.href.startsWith(home + '/oauth/callback/'))) {
      // The page waits for the exchange and reloads itself until it is over.
      if (!(await page.locator('meta[http-equiv=refresh]').count())) {
        if (option.shot) await page.screenshot({ path: option.shot, animations: 'disabled' })
        const text = (await page.locator('body').innerText()).replace(/\s+/g, ' ').trim()
        const tools = await browser.newCDPSession(page)
        const { entries } = await tools.send('Page.getNavigationHistory')
        console.log(JSON.stringify({ url: page.url(), title: await page.title(), text, history: entries.map((e) => e.url) }))
        code = 0
        break
      }
      await page.waitForTimeout(100)
      continue
    }
    await fillIn(page).catch(() => {})
    await press(page).catch(() => {})
    await page.waitForTimeout(150)
  }
  if (code) console.error('no last page; stopped at ' + page.url().split('?')[0])
} finally {
  await browser.close()
  rmSync(profile, { recursive: true, force: true })
}
process.exit(code)

async function fillIn(page) {
  for (const input of await page.locator('input:visible').all()) {
    const type = ((await input.getAttribute('type')) ?? 'text').toLowerCase()
    if (!(await input.isEditable())) continue
    if (type === 'password') await input.fill(option.pass)
    else if (['text', 'email'].includes(type)) await input.fill(option.user)
  }
}

async function press(page) {
  for (const button of await page.locator('button:visible, input[type=submit]:visible').all()) {
    const label = ((await button.innerText()) || (await button.getAttribute('value')) || '').trim()
    if (wanted.test(label) && !never.test(label)) {
      await button.click()
      return
    }
  }
}
