// A real browser before the built window: dist is served as the desktop window
// serves it, with the same content security policy, beside a made-up world.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

/** @typedef {import('./world.mjs').World} World */
/** @typedef {{ view?: string, width?: number, height?: number, dark?: boolean, forced?: boolean, textSize?: number, now?: number, init?: () => void }} OpenOptions */

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** @type {Record<string, string>} */
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }

/** @param {World} world */
async function serve(world) {
  const server = createServer((req, res) =>
    world.middleware(req, res, async () => {
      const name = (req.url ?? '/').split('?')[0] === '/' ? 'index.html' : (req.url ?? '').split('?')[0] ?? ''
      try {
        const body = await readFile(join(dist, join('/', name)))
        res.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'text/plain', 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' })
        res.end(body)
      } catch {
        res.writeHead(404).end()
      }
    }),
  )
  await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)))
  const address = server.address()
  if (!address || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}/`, close: () => (server.closeAllConnections(), server.close()) }
}

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--force-prefers-reduced-motion'] })

/**
 * Opens the window on a world.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {World} world
 * @param {OpenOptions} [options]
 */
export async function open(browser, world, { view = '', width = 920, height = 640, dark = false, forced = false, textSize = 1, now, init } = {}) {
  const site = await serve(world)
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    forcedColors: forced ? 'active' : 'none',
    reducedMotion: 'reduce',
    locale: 'en-GB',
    ...(now === undefined ? {} : { timezoneId: 'UTC' }),
    permissions: ['clipboard-read', 'clipboard-write'],
    bypassCSP: false,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(5000)
  if (now !== undefined) await page.clock.setFixedTime(now)
  if (init) await page.addInitScript(init)
  const complaints = listen(page, site.url)
  await page.goto(site.url + (view ? `#${view}` : ''))
  if (textSize !== 1) await page.evaluate((size) => document.documentElement.style.setProperty('font-size', `${size * 100}%`), textSize)
  return {
    page,
    complaints,
    close: async () => {
      await context.close()
      site.close()
    },
    violations: () => violations(page),
    overflows: () => overflows(page),
  }
}

/**
 * Collects what the page complains about: errors, refused content, requests to
 * elsewhere.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} origin
 */
export function listen(page, origin) {
  /** @type {string[]} */
  const complaints = []
  page.on('pageerror', (err) => complaints.push(String(err)))
  page.on('console', (message) => {
    // A refused request is the API's word, shown to the user; the browser mentions it too.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) complaints.push(`asked ${request.url()}`)
  })
  return complaints
}

/** What axe finds wrong on the page as it is. @param {import('playwright-core').Page} page @returns {Promise<string[]>} */
export async function violations(page) {
  await page.evaluate(await readFile(axe, 'utf8'))
  const found = await page.evaluate(() => /** @type {any} */ (window).axe.run(document, { resultTypes: ['violations'] }))
  return found.violations.map((/** @type {any} */ v) => `${v.id}: ${v.help} — ${v.nodes.map((/** @type {any} */ n) => n.html).join(' | ')}`)
}

/** Whether anything is cut off or hangs over a side, or the page scrolls where only its main part should. @param {import('playwright-core').Page} page */
export const overflows = (page) =>
  page.evaluate(() => {
    const root = document.documentElement
    const mains = Array.from(document.querySelectorAll('main'))
    return (
      [root, ...mains].some((e) => e.scrollWidth > e.clientWidth) ||
      (mains.some((m) => getComputedStyle(m).overflowY === 'auto') && root.scrollHeight > root.clientHeight)
    )
  })
