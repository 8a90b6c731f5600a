import { expect, test } from 'vitest'
import { search } from './search'

const provider = (id: string, name: string, ready = false, category?: string) => ({ id, name, ready, category })

const catalogue = [
  provider('atlassian', 'Atlassian'),
  provider('demo', 'Demo', true),
  provider('digitalocean', 'DigitalOcean'),
  provider('gitea', 'Gitea'),
  provider('github', 'GitHub'),
  provider('gitlab', 'GitLab', true),
  provider('google', 'Google', false, 'work'),
  provider('legit', 'Legit Cloud'),
  provider('microsoft', 'Microsoft 365', false, 'work'),
  provider('pokemon', 'Pokémon'),
  provider('my_git', 'Our own Git'),
]
const ids = (query: string) => search(catalogue, query).map((p) => p.id)

test('without a query everything is there, ready ones first, then by name', () => {
  expect(ids('')).toHaveLength(catalogue.length)
  expect(ids('  ').slice(0, 3)).toEqual(['demo', 'gitlab', 'atlassian'])
})

test('favourites come first among those that fit as well, and not before those that fit better', () => {
  const mine = catalogue.map((p) => ({ ...p, favourite: p.id === 'github' || p.id === 'legit' }))
  expect(search(mine, '').slice(0, 3).map((p) => p.id)).toEqual(['github', 'legit', 'demo'])
  expect(search(mine, 'git').map((p) => p.id)).toEqual(['github', 'gitlab', 'gitea', 'my_git', 'legit', 'digitalocean'])
})

test('a name that begins so comes before a word inside, before a part of a word', () => {
  expect(ids('git')).toEqual(['gitlab', 'gitea', 'github', 'my_git', 'digitalocean', 'legit'])
})

test('the whole name wins over everything', () => expect(ids('github')[0]).toBe('github'))

test('letter case and accents do not matter', () => {
  expect(ids('POKEMON')).toEqual(['pokemon'])
  expect(ids('pokémon')).toEqual(['pokemon'])
})

test('every word has to be found, in any order', () => {
  expect(ids('own git')).toEqual(['my_git'])
  expect(ids('git own')).toEqual(['my_git'])
  expect(ids('git nothing')).toEqual([])
})

test('a category finds its providers, after names', () => expect(ids('work')).toEqual(['google', 'microsoft']))

test('signs that mean something elsewhere are just text here', () => {
  expect(ids('.*')).toEqual([])
  expect(ids('(')).toEqual([])
})
