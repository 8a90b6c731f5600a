// Keyturn's pages in a real browser, by a link: they show what the window shows,
// connect the demo provider from a tab of their own, keep nothing behind, and a
// name that is made to lead to the same port gets nothing.
//
//   node ui.mjs URL [--shot FILE.png]
//
// Prints one JSON object: the first view's "text", the account's "connected"
// row, "cookies" and "stored" that are left, what "rebinding" was answered, and
// the "again" of the same link.
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const require = createRequire(new URL('../../frontend/package.json', import.meta.url))
const { chromium } = require('playwright-core')

const { values: option, positionals } = parseArgs({ allowPositionals: true, options: { shot: { type: 'string' } } })
const link = new URL(positionals[0])

const profile = mkdtempSync(join(tmpdir(), 'ui-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 390, height: 780 }, // a phone's
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--host-resolver-rules=MAP attacker.test 127.0.0.1'],
})
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(15_000)
  await page.goto(link.href)
  const demo = page.getByRole('button', { name: /demo/i })
  await demo.waitFor()
  const text = await page.locator('body').innerText()
  if (option.shot) await page.screenshot({ path: option.shot, animations: 'disabled' })
  const address = page.url()

  const consent = browser.waitForEvent('page')
  await demo.click()
  const tab = await consent
  await tab.getByRole('button', { name: /^(allow|approve)/i }).first().click()
  await tab.waitForURL(/\/oauth\/done\//)
  await page.bringToFront()
  await page.getByText(/is connected/i).first().waitFor()
  const connected = await page.locator('main').innerText()
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)

  // Another name for the same port: as its page, and from its page.
  const evil = await browser.newPage()
  const first = await evil.goto(`http://attacker.test:${link.port}/`)
  const rebinding = [first.status()]
  for (const path of ['/api/v1/connections', '/api/v1/apps', '/api/session']) {
    rebinding.push(await evil.evaluate((p) => fetch(p, { method: p.endsWith('session') ? 'POST' : 'GET' }).then((r) => r.status), path))
  }
  const stored = await page.evaluate(() => Object.keys(localStorage).length + Object.keys(sessionStorage).length)

  const second = await browser.newPage()
  await second.goto(link.href)
  await second.getByText('keyturn ui').waitFor()
  const again = await second.locator('body').innerText()
  console.log(JSON.stringify({ text, address, connected, wide, rebinding, cookies: (await browser.cookies()).length, stored, again }))
} finally {
  await browser.close()
  rmSync(profile, { recursive: true, force: true })
}
