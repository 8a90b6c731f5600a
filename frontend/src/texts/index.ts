// The language of the window. Another language is one more file beside en.ts
// with the same shape, and one more line here.

import { en } from './en'

export type Texts = typeof en
export type Code = keyof Texts['faults']

const languages: Record<string, Texts> = { en }

const wanted = (globalThis.navigator?.languages ?? []).map((l) => l.slice(0, 2)).find((l) => Object.hasOwn(languages, l)) ?? 'en'

/** For times and numbers: the language as this user writes it, such as en-GB. */
export const language = (globalThis.navigator?.languages ?? []).find((l) => l.slice(0, 2) === wanted) ?? wanted
export const texts: Texts = languages[wanted] ?? en
