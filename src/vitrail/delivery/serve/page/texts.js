// Every text of the page in each language. A text with values is a function of them. A text with labels is a list of
// parts, since a label may be an element. Numbers come in as the language writes them.

const english = {
  title: "What is in the image?",
  introduction: (classes) =>
    `Give it an image: the model says which of its ${classes} classes it shows, how probable that is, and when it ` +
    "does not know.",
  choose: "Choose images",
  chooseMore: "or drop them here, or paste one",
  photo: "Take a photo",
  limits: (bytes, pixels) => `Images of up to ${bytes} and ${pixels} million pixels.`,
  clear: "Remove all",
  answers: "Answers",
  privacy: "Images go to the server of this page and nowhere else.",

  keyTitle: "This server asks for a key",
  keyHelp: "Whoever runs the server has it. This page forgets it when you close or reload it.",
  keyLabel: "Key",
  keyButton: "Use this key",
  keyWrong: "The server does not accept this key. Check it, or ask whoever runs the server.",

  answer: (label, share) => ["This is most likely ", label, ` (${share}).`],
  unknown: "I do not know.",
  unlike: (label, share) => [
    "The image looks like none of the training images. The nearest class is ",
    label,
    ` (${share}), and the percentages mean little for such an image.`,
  ],
  unsure: (label, share, least) => [
    "No class is probable enough. The nearest is ",
    label,
    ` with ${share}`,
    least ? `; an answer needs ${least}.` : ".",
  ],
  probabilities: "The most probable classes",
  setOf: (labels, share) => [
    "Set of classes: ",
    ...labels,
    share ? `. For ${share} of new images such a set should hold the true class.` : ".",
  ],
  setEmpty: (share) => [
    share
      ? `The set of classes is empty: no class is as probable as the true class is for ${share} of images.`
      : "The set of classes is empty: no class is probable enough.",
  ],
  setUnlike: ["For an image unlike the training images, no set of classes can be given."],
  or: " or ",
  more: (count) => ` and ${count} more`,

  waiting: "Waiting",
  sending: "Working on it",
  busy: (seconds) => `The server is busy. Trying again in ${seconds} s.`,
  remove: (name) => `Remove ${name}`,
  retry: "Try again",
  size: (width, height) => `${width} × ${height} pixels`,
  time: (milliseconds) => `${milliseconds} ms`,
  noPreview: "No preview",
  done: (done, all) => `${done} of ${all} images done.`,
  heard: (name, outcome) => `${name}: ${outcome}`,
  removedOne: (name) => `${name} removed.`,
  removedAll: "All images removed.",
  nothingPasted: "There is no image on the clipboard.",
  nothingDropped: "That was no file. Save the image first, then drop its file here.",

  noAnswer: "No answer.",
  tooManyBytes: (size, limit) =>
    `The file is too large (${size})${limit ? `: the server takes at most ${limit}` : ""}. Save it smaller, then ` +
    "choose it again.",
  tooManyPixels: (limit) =>
    `The image is too large${limit ? `: the server takes at most ${limit} million pixels` : ""}` +
    `${limit ? ", and fewer of some kinds" : ""}. Make it smaller, then choose it again.`,
  failures: {
    key: "The server asks for a key. Enter it above.",
    offline: "The server does not answer. Check that it is running and that you are connected, then try again.",
    busy: "The server is too busy. Try again in a minute.",
    gone: "The file cannot be read. If it is a folder, open it and choose the images in it.",
    notImage:
      "The server cannot read this file: it is not an image, is of a rare kind, or is damaged. Choose another one, " +
      "such as a JPEG, PNG or WebP file.",
    time: "The server needed too long for this image. Make it smaller, or try again.",
    server: "The server could not answer. Try again, or tell whoever runs the server.",
  },

  about: "About this model",
  classesTitle: (count) => `The ${count} classes`,
  model: "Model",
  modelText: (name, format, precision, crop) =>
    `${name}, ${format} ${precision}, input of ${crop} × ${crop} pixels`,
  fidelity: "Fidelity",
  fidelityText: (images, difference) =>
    `On ${images} test images no probability differs by more than ${difference} from the same network on torch in ` +
    "fp32.",
  sets: "Sets",
  setsText: (promised, coverage, images) =>
    `Made to hold the true class for ${promised} of new images. On ${images} test images they did for ${coverage}.`,
  confidence: "Answers",
  confidenceText: (least, promised, precision) =>
    `Given from a probability of ${least}, chosen so that ${promised} are right. On the test images ${precision} were.`,
  noConfidence:
    "No probability was found above which enough answers are right, so no answer is held back for being unsure.",
  licence: "Licence",
  noLicence: "not stated",
  run: "Run",
};

const french = {
  title: "Que montre l’image\u00a0?",
  introduction: (classes) =>
    `Donnez une image\u00a0: le modèle dit laquelle de ses ${classes} classes elle montre, avec quelle probabilité, ` +
    "et quand il ne sait pas.",
  choose: "Choisir des images",
  chooseMore: "ou les déposer ici, ou en coller une",
  photo: "Prendre une photo",
  limits: (bytes, pixels) => `Images de ${bytes} et ${pixels} millions de pixels au plus.`,
  clear: "Tout enlever",
  answers: "Réponses",
  privacy: "Les images vont au serveur de cette page et nulle part ailleurs.",

  keyTitle: "Ce serveur demande une clé",
  keyHelp: "La personne qui gère le serveur peut vous la donner. Cette page l’oublie quand on la ferme ou la recharge.",
  keyLabel: "Clé",
  keyButton: "Utiliser cette clé",
  keyWrong: "Le serveur n’accepte pas cette clé. Vérifiez-la, ou demandez à la personne qui gère le serveur.",

  answer: (label, share) => ["Le plus probable\u00a0: ", label, ` (${share}).`],
  unknown: "Je ne sais pas.",
  unlike: (label, share) => [
    "L’image ne ressemble à aucune image d’entraînement. La classe la plus proche est ",
    label,
    ` (${share}), mais ces pourcentages ne disent pas grand-chose d’une telle image.`,
  ],
  unsure: (label, share, least) => [
    "Aucune classe n’est assez probable. La plus proche est ",
    label,
    ` avec ${share}`,
    least ? `\u00a0; il faut ${least} pour répondre.` : ".",
  ],
  probabilities: "Les classes les plus probables",
  setOf: (labels, share) => [
    "Ensemble de classes\u00a0: ",
    ...labels,
    share ? `. Pour ${share} des nouvelles images, un tel ensemble devrait contenir la vraie classe.` : ".",
  ],
  setEmpty: (share) => [
    share
      ? "L’ensemble de classes est vide\u00a0: aucune classe n’est aussi probable que la vraie classe l’est pour " +
        `${share} des images.`
      : "L’ensemble de classes est vide\u00a0: aucune classe n’est assez probable.",
  ],
  setUnlike: [
    "Pour une image qui ne ressemble pas à celles de l’entraînement, on ne peut donner aucun ensemble de classes.",
  ],
  or: " ou ",
  more: (count) => ` et ${count} autres`,

  waiting: "En attente",
  sending: "Analyse en cours",
  busy: (seconds) => `Le serveur est occupé. Nouvel essai dans ${seconds} s.`,
  remove: (name) => `Enlever ${name}`,
  retry: "Réessayer",
  size: (width, height) => `${width} × ${height} pixels`,
  time: (milliseconds) => `${milliseconds} ms`,
  noPreview: "Pas d’aperçu",
  done: (done, all) => `Images traitées\u00a0: ${done} sur ${all}.`,
  heard: (name, outcome) => `${name}\u00a0: ${outcome}`,
  removedOne: (name) => `${name}\u00a0: image enlevée.`,
  removedAll: "Toutes les images sont enlevées.",
  nothingPasted: "Il n’y a pas d’image dans le presse-papiers.",
  nothingDropped: "Ce n’était pas un fichier. Enregistrez d’abord l’image, puis déposez son fichier ici.",

  noAnswer: "Pas de réponse.",
  tooManyBytes: (size, limit) =>
    `Le fichier est trop gros (${size})${limit ? `\u00a0: le serveur accepte au plus ${limit}` : ""}. Enregistrez-le ` +
    "en plus petit, puis choisissez-le de nouveau.",
  tooManyPixels: (limit) =>
    `L’image est trop grande${limit ? `\u00a0: le serveur accepte au plus ${limit} millions de pixels` : ""}` +
    `${limit ? ", et moins pour certains formats" : ""}. Réduisez-la, puis choisissez-la de nouveau.`,
  failures: {
    key: "Le serveur demande une clé. Entrez-la plus haut.",
    offline: "Le serveur ne répond pas. Vérifiez qu’il fonctionne et que vous êtes connecté, puis réessayez.",
    busy: "Le serveur est trop occupé. Réessayez dans une minute.",
    gone: "Le fichier ne peut pas être lu. Si c’est un dossier, ouvrez-le et choisissez les images qu’il contient.",
    notImage:
      "Le serveur ne peut pas lire ce fichier\u00a0: ce n’est pas une image, ou elle est d’un format rare ou abîmée. " +
      "Choisissez-en un autre, par exemple un fichier JPEG, PNG ou WebP.",
    time: "Le serveur a mis trop de temps pour cette image. Réduisez-la, ou réessayez.",
    server: "Le serveur n’a pas pu répondre. Réessayez, ou prévenez la personne qui le gère.",
  },

  about: "À propos de ce modèle",
  classesTitle: (count) => `Les ${count} classes`,
  model: "Modèle",
  modelText: (name, format, precision, crop) =>
    `${name}, ${format} ${precision}, entrée de ${crop} × ${crop} pixels`,
  fidelity: "Fidélité",
  fidelityText: (images, difference) =>
    `Sur ${images} images de test, aucune probabilité ne s’écarte de plus de ${difference} de celle du même réseau ` +
    "dans torch en fp32.",
  sets: "Ensembles",
  setsText: (promised, coverage, images) =>
    `Faits pour contenir la vraie classe pour ${promised} des nouvelles images. Sur ${images} images de test, c’est ` +
    `le cas pour ${coverage}.`,
  confidence: "Réponses",
  confidenceText: (least, promised, precision) =>
    `Données à partir d’une probabilité de ${least}, choisie pour que ${promised} soient justes. Sur les images de ` +
    `test, ${precision} l’étaient.`,
  noConfidence:
    "Aucune probabilité n’a été trouvée au-dessus de laquelle assez de réponses sont justes\u00a0; aucune réponse " +
    "n’est donc retenue par manque de certitude.",
  licence: "Licence",
  noLicence: "non indiquée",
  run: "Expérience",
};

export const TEXTS = { en: english, fr: french };
