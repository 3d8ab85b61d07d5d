'use strict';
(function () {
  var at = function (id) { return document.getElementById(id); };
  var cards = Array.from(document.querySelectorAll('.card'));
  if (cards.length === 0) return;
  at('controls').hidden = false;
  var show = function () {
    var label = at('label').value, least = Number(at('score').value), empty = at('empty').checked;
    var images = 0, boxes = 0;
    at('least').textContent = least.toFixed(2);
    cards.forEach(function (card) {
      var here = 0;
      card.querySelectorAll('.box').forEach(function (box) {
        var fits = (label === '' || box.dataset.l === label) && Number(box.dataset.s) >= least;
        if (fits) { box.removeAttribute('display'); here += 1; } else { box.setAttribute('display', 'none'); }
      });
      card.hidden = here === 0 && !empty;
      images += card.hidden ? 0 : 1;
      boxes += here;
    });
    at('count').textContent = images + ' of ' + cards.length + ' images, ' + boxes + ' boxes';
  };
  var sort = function () {
    var by = at('order').value;
    cards.sort(function (a, b) {
      return (by === 'i' ? 0 : Number(b.dataset[by]) - Number(a.dataset[by])) || Number(a.dataset.i) - Number(b.dataset.i);
    });
    cards.forEach(function (card) { at('cards').appendChild(card); });
  };
  ['label', 'score', 'empty'].forEach(function (id) { at(id).addEventListener('input', show); });
  at('order').addEventListener('input', sort);
  at('controls').addEventListener('submit', function (event) { event.preventDefault(); });
  show();
})();
