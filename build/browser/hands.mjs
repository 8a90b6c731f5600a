// A real browser on Keyturn's pages, led by another program: one command a line
// on standard input, as JSON, and one answer a line on standard output.
//
//   node hands.mjs FOLDER-OF-REFERENCES
//
//   {"do":"open","url":…}              a fresh browser profile, with this page
//   {"do":"press","name":…,"in":…}     the button, link or check box of that name,
//                                      in the group, row or dialog with that text
//   {"do":"unfold","name":…,"in":…}    what is folded away under that heading
//   {"do":"fill","label":…,"text":…}   a field
//   {"do":"choose","label":…,"text":…} one of a list
//   {"do":"type","text":…}             keys, by themselves; {"do":"key"} for one that has a name
//   {"do":"see","text":…}              waits for it
//   {"do":"go","view":…}               the view of that address
//   {"do":"approve","name":…,"without":[…]}
//                                      the page that was opened last, with those
//                                      boxes not ticked; then it is closed
//   {"do":"look","name":…}             holds what is seen to its reference, to axe
//                                      and to its content security policy
//
// An answer is {} when it was done, {"error":…} when not, {"wrong":[…]} of a look.
// With REFERENCES=renew looks are kept as the new references.
import { createInterface } from 'node:readline'
import { launch, listen, overflows, violations } from '../../frontend/test/browser.mjs'
import { references } from '../../frontend/test/pictures.mjs'

const browser = await launch()
const looks = await references(browser, process.argv[2])

/** @type {import('playwright-core').BrowserContext | undefined} */ let context
/** @type {import('playwright-core').Page} */ let page
/** @type {string[]} */ let complaints

const within = (text) => (text ? page.locator('[role=group], [role=dialog], dialog, li, fieldset').filter({ hasText: text }).last() : page)
/** By its whole name, or by how it begins: "Record activity…". */
const nameOf = (name) => (name.endsWith('…') ? { name: new RegExp(`^${name.slice(0, -1)}`) } : { name, exact: true })
const named = (place, name) =>
  ['button', 'link', 'checkbox', 'radio', 'tab', 'option'].map((role) => place.getByRole(role, nameOf(name))).reduce((a, b) => a.or(b)).first()

const commands = {
  async open({ url }) {
    await context?.close()
    context = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC', permissions: ['clipboard-read', 'clipboard-write'] })
    page = await context.newPage()
    page.setDefaultTimeout(8000)
    complaints = listen(page, new URL(url).origin)
    await page.goto(url)
  },
  press: ({ name, in: place }) => named(within(place), name).click(),
  unfold: ({ name, in: place }) => within(place).locator('summary', { hasText: name }).first().click(),
  fill: ({ label, text }) => page.getByLabel(label, { exact: true }).first().fill(text),
  choose: ({ label, text }) => page.getByLabel(label, { exact: true }).first().selectOption({ label: text }),
  type: ({ text }) => page.keyboard.type(text),
  key: ({ key }) => page.keyboard.press(key),
  see: ({ text }) => page.getByText(text).first().waitFor(),
  go: ({ view }) => page.evaluate((to) => void (location.hash = to), view),
  async approve({ name, without = [] }) {
    while (context.pages().length < 2) await context.waitForEvent('page')
    const tab = context.pages().at(-1)
    for (const box of without) await tab.getByLabel(box).uncheck()
    await tab.getByRole('button', { name }).click()
    await tab.waitForURL(/\/oauth\/done\//)
    await tab.close()
  },
  async look({ name }) {
    const wrong = await looks.wrong(page, name, () => page.evaluate(steady))
    wrong.push(...(await violations(page)), ...complaints)
    if (await overflows(page)) wrong.push('something hangs over the side')
    return { wrong: wrong.map((w) => `${name}: ${w}`) }
  },
}

/** Puts something that is always the same in the place of what is different each time. */
function steady() {
  const usual = [
    [/\/tmp\/[\w./-]*?\/001\b/g, '/home/ada'],
    [/\b127\.0\.0\.1:\d{4,5}\b/g, '127.0.0.1:27400'],
    [/\b(refreshed|connected|used) (now|\d+ seconds? ago)/g, '$1 5 seconds ago'],
    [/\bToken expire(s in|d) \d+ seconds?( ago)?/g, 'Token expires in 5 seconds'],
    [/\bcon_[0-9a-f]{16}\b/g, 'con_0123456789abcdef'],
    [/\b\d\d:\d\d:\d\d\b/g, '14:02:05'],
    [/\bToken (läuft in \d+ Sekunden? ab|vor \d+ Sekunden? abgelaufen)/g, 'Token läuft in 5 Sekunden ab'],
    [/\b(next try|nächster Versuch) (now|jetzt)\b/g, '$1 14:02:05'],
    [/\b(erneuert|genutzt|verbunden) (jetzt|vor \d+ Sekunden?)/g, '$1 vor 5 Sekunden'],
    [/(nächster Versuch) \d\d:\d\d(:\d\d)?/g, '$1 14:02'],
    [/(?<![:\d])\d\d:\d\d\b(?!:)/g, '14:02'],
    [/\b\d:\d\d\b/g, '0:03'],
    [/\b[A-Z]{4}-[A-Z]{4}\b/g, 'WDJB-MJHT'],
    [/\b\d{1,2} (Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]*( \d{4})?\b/g, '2 March'],
    [/\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b/g, 'Monday'],
  ]
  const steadied = (said) => usual.reduce((text, [what, instead]) => text.replace(what, instead), said)
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const node = texts.currentNode
    const said = steadied(node.data)
    if (said !== node.data) node.data = said
  }
  for (const field of document.querySelectorAll('input')) {
    const said = steadied(field.value)
    if (said !== field.value) field.value = said
  }
  for (const code of document.querySelectorAll('svg[shape-rendering] path')) code.remove()
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  const answer = await commands[command.do](command).then((said) => (said?.wrong ? said : {}), (err) => ({ error: `${line}: ${err.message}` }))
  if (answer.error) answer.page = await page?.locator('body').innerText().catch(() => '')
  console.log(JSON.stringify(answer))
}
await browser.close()
