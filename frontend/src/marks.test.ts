import { expect, test } from 'vitest'
import { initials, markOf } from './marks'

test('a mark is a path to draw', () => expect(markOf('github')).toMatch(/^M/))

test('a provider without a mark has initials', () => {
  expect(markOf('microsoft')).toBeUndefined()
  expect(markOf('constructor')).toBeUndefined()
})

test.each([
  ['Microsoft', 'M'],
  ['Acme Cloud', 'AC'],
  ['The Most Excellent', 'TM'],
  ['ångström lab', 'ÅL'],
  ['…', '?'],
  ['', '?'],
])('the initials of %j are %s', (name, letters) => expect(initials(name)).toBe(letters))
