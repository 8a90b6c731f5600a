// How long the search takes: types into the built window, and prints the time of
// each key in milliseconds as JSON. A key is done when the list is laid out.

import { launch, open } from './browser.mjs'
import { World } from './world.mjs'

const ENTRIES = 500
const QUERIES = ['github', 'google calendar', 'micro', 'pokémon', 'zz nothing', 'a', 'linear work', 'acme 7', 'https://mcp.example', 'salesforce sandbox', 'own git', 'no such provider']

const world = new World('ordinary')
const some = world.catalogue
world.catalogue = Array.from({ length: ENTRIES }, (_, i) => {
  const p = some[i % some.length]
  if (!p) throw new Error('an empty catalogue')
  return i < some.length ? p : { ...p, id: `${p.id}-${i}`, name: `${p.name} ${i}` }
})

const browser = await launch()
const shown = await open(browser, world, { view: 'connect' })
await shown.page.getByText(`${ENTRIES} providers`).waitFor()
const took = await shown.page.evaluate(async (queries) => {
  const field = /** @type {HTMLInputElement} */ (document.querySelector('input[role=combobox]'))
  const list = /** @type {HTMLElement} */ (document.getElementById('providers'))
  /** @type {number[]} */ const took = []
  for (const query of queries) {
    const typed = [...query].map((_, i) => query.slice(0, i + 1))
    for (const value of [...typed, ...typed.slice(0, -1).reverse(), '']) {
      const begun = performance.now()
      field.value = value
      field.dispatchEvent(new InputEvent('input', { bubbles: true }))
      await Promise.resolve() // Svelte draws when the handlers are through
      await Promise.resolve()
      list.getBoundingClientRect()
      took.push(performance.now() - begun)
      await new Promise((done) => requestAnimationFrame(done))
    }
  }
  return took
}, QUERIES)
await browser.close()
process.stdout.write(JSON.stringify(took))
process.exit(0)
