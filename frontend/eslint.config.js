import globals from 'globals'
import svelte from 'eslint-plugin-svelte'
import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['dist/', 'node_modules/', 'src/api/schema.d.ts'] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      'svelte/no-at-html-tags': 'error', // provider text is shown as text
      'svelte/no-inline-styles': 'error', // the content security policy has none
      eqeqeq: 'error',
      // fetch belongs to the one file that speaks to the API.
      'no-restricted-globals': ['error', 'fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource', 'localStorage', 'sessionStorage'],
      'no-restricted-properties': ['error', { property: 'innerHTML' }, { property: 'outerHTML' }, { object: 'window', property: 'fetch' }],
    },
  },
  { files: ['**/*.svelte', '**/*.svelte.ts'], languageOptions: { parserOptions: { parser: ts.parser } } },
  { files: ['src/api/client.ts'], rules: { 'no-restricted-globals': 'off' } },
  { files: ['test/**', '*.ts', '*.js', 'src/**/*.test.ts'], languageOptions: { globals: { ...globals.node } }, rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' } },
  { files: ['src/route.svelte.ts'], rules: { 'svelte/prefer-svelte-reactivity': 'off' } }, // its URLSearchParams are read once
)
