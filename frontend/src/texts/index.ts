// The language of the window. Another language is one more file beside en.ts
// with the same shape, and one more line here and in app/texts.

import { en } from './en'

export type Texts = typeof en
export type Code = keyof Texts['faults']

// English is always there; another language comes when it is spoken.
const others: Record<string, () => Promise<Texts>> = {
  de: () => import('./de').then((m) => m.de),
}

/** The languages there are, as they call themselves. */
export const languages: readonly (readonly [tag: string, name: string])[] = [
  ['de', 'Deutsch'],
  ['en', 'English'],
]

/** What the window says; it changes with the language, so views take it when they are made. */
export let texts: Texts = en

/** For times and numbers: the language as this user writes it, such as en-GB. */
export let language = 'en'

/** Speaks the language that was chosen, or else one that the user's system prefers; says whether that is another than before. */
export async function speak(chosen: string | undefined): Promise<boolean> {
  const preferred = globalThis.navigator?.languages ?? []
  const known = (tag: string) => tag === 'en' || Object.hasOwn(others, tag)
  const tag = [chosen ?? '', ...preferred.map(base)].find(known) ?? 'en'
  const next = (await others[tag]?.()) ?? en
  language = preferred.find((full) => base(full) === tag) ?? tag
  if (next === texts) return false
  texts = next
  return true
}

/** The language of a tag, without its region. */
export const base = (tag: string) => tag.split('-')[0] ?? tag
