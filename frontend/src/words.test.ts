import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Fault } from './api/client'
import { texts } from './texts'
import { attemptState, connectionState, explain, faultWords, isCode, protectorSentence, steps, stepWords } from './words'

// The list of codes is Go's: what the program can say, the window can word.
const source = readFileSync(new URL('../../backend/fault/fault.go', import.meta.url), 'utf8')
const codes = [...source.matchAll(/\bCode = "([a-z_]+)"/g)].map((m) => m[1] ?? '')

test('the list of codes was found', () => {
  expect(codes).toContain('unreachable')
  expect(codes).toContain('needs_reconnect')
  expect(codes.length).toBeGreaterThan(30)
})

test.each(codes)('%s has a sentence, and says what to do', (code) => {
  expect(isCode(code)).toBe(true)
  const { says, todo } = faultWords(code, 'GitHub')
  for (const sentence of [says, todo]) {
    expect(sentence).toMatch(/^[A-Z].*[.?]$/)
    expect(sentence).not.toMatch(/undefined|\$\{|keyturn [a-z]/)
  }
})

test('no code is worded that the program does not have', () => {
  expect(Object.keys(texts.faults).sort()).toEqual([...codes].sort())
})

test('a code from a newer program still reads as a sentence', () => {
  expect(faultWords('eclipse').says).toBe('Keyturn reports “eclipse”.')
  expect(isCode('constructor')).toBe(false)
})

test('every status, step and protector has words', () => {
  for (const status of ['connected', 'retrying', 'needs_reconnect'] as const) expect(connectionState(status).word).toMatch(/\w/)
  for (const status of ['pending', 'complete', 'error'] as const) expect(attemptState(status).word).toMatch(/\w/)
  for (const step of steps) expect(stepWords(step, 'Demo').now).not.toBe(stepWords(step, 'Demo').done)
  for (const protector of ['keyring', 'passphrase', 'key_file'] as const) expect(protectorSentence(protector)).toMatch(/\.$/)
})

test('states differ in shape, not only in word', () => {
  const shapes = (['connected', 'retrying', 'needs_reconnect'] as const).map((s) => connectionState(s).shape)
  expect(new Set(shapes).size).toBe(3)
})

describe('an action that failed', () => {
  test('is explained without commands, although the sentence that came has some', () => {
    const said = explain(new Fault('no_app', 'GitHub needs an OAuth app. See: keyturn providers get github'), 'GitHub')
    expect(said).toBe('GitHub needs an OAuth app of yours first. Register one there and enter its client ID.')
  })
  test('keeps the sentence that came where it names the value', () => {
    expect(explain(new Fault('port_in_use', 'Port 27419 is taken.'))).toBe('Port 27419 is taken.')
    expect(explain(new Fault('eclipse', 'The sun is gone.'))).toBe('The sun is gone.')
  })
  test('is explained when no sentence came', () => {
    expect(explain(new Fault('unreachable', ''))).toBe('Could not reach Keyturn. Is it running?')
    expect(explain(new Fault('denied', ''))).toMatch(/^Access was denied at the provider\./)
  })
})
