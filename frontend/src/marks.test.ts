import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import marks from './marks.all'
import { initials, loadMarks, markOf } from './marks.svelte'

test.each(Object.keys(marks))('the mark of %s belongs to a provider of the catalogue', (id) => {
  expect(existsSync(new URL(`../../backend/provider/catalogue/${id}.yaml`, import.meta.url))).toBe(true)
})

test('nothing is shown until the marks are there', async () => {
  expect(markOf('microsoft', 'Microsoft')).toEqual({})
  await loadMarks()
})

test('a mark is a path to draw', () => expect(markOf('github', 'GitHub').path).toMatch(/^M/))

test('a provider without a mark has initials', () => {
  expect(markOf('microsoft', 'Microsoft')).toEqual({ letters: 'M' })
  expect(markOf('constructor', 'Acme Cloud')).toEqual({ letters: 'AC' })
})

test.each([
  ['Microsoft', 'M'],
  ['Acme Cloud', 'AC'],
  ['The Most Excellent', 'TM'],
  ['ångström lab', 'ÅL'],
  ['…', '?'],
  ['', '?'],
])('the initials of %j are %s', (name, letters) => expect(initials(name)).toBe(letters))
