import { expect, test } from 'vitest'
import { webPage } from './webpage'

test('a plain https page may be opened', () => {
  expect(webPage('https://github.com/settings/developers')).toBe('https://github.com/settings/developers')
})

test.each([
  undefined,
  '',
  'settings/developers',
  'http://github.com/',
  'javascript:alert(1)',
  'data:text/html,x',
  'file:///etc/passwd',
  'vbscript:x',
  'ms-msdt:/id',
  'https://user@github.com/',
  'https://:secret@github.com/',
  'https://[::1]/',
  'https://',
  'https://' + 'a'.repeat(2100) + '.example/',
])('OB-02 %s is not opened', (address) => expect(webPage(address)).toBeUndefined())

test('a name in other letters is shown in plain ones', () => {
  expect(webPage('https://gıthub.com/')).toBe('https://xn--gthub-n4a.com/')
})
